/**
 * The kernel's own tables about its code, as they are in its memory: entry by entry, found by the address of
 * the code that an entry is about.
 *
 * The linker gathers each table from all units, and the kernel sorts some when it boots. So an entry's place
 * tells nothing, and the code that it names tells whose it is. (A table of the ORC unwinder has 400,000 entries,
 * but is sorted by that address, so only the part about a section is read.)
 */
import { MatchError } from '../diagnostics/error.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { bugTable } from '../kernel/tables/bug-table.ts';
import { exceptionTable } from '../kernel/tables/exception-table.ts';
import { jumpTable } from '../kernel/tables/jump-table.ts';
import { orcUnwindIp } from '../kernel/tables/orc.ts';
import type { SpecialTable } from '../kernel/tables/special-table.ts';
import { staticCallSites } from '../kernel/tables/static-calls.ts';

export interface RunEntry {
  readonly at: Address;
  /** The code that it is about. */
  readonly owner: Address;
  readonly bytes: Uint8Array;
  /** What `.orc_unwind` has under the same number; for entries of `.orc_unwind_ip`. */
  readonly orc: Uint8Array | undefined;
}

/** Size of an entry of `.orc_unwind`, in bytes. */
export const ORC_SIZE = 6;

/** A table in vmlinux: what bounds it, by name (vmlinux.lds.h). */
export interface LinkedTable {
  readonly table: SpecialTable;
  readonly start: string;
  readonly stop: string;
  readonly entrySize: number;
  readonly isSorted: boolean;
}

const linkedTable = (table: SpecialTable, name: string, isSorted = false): LinkedTable => ({
  table,
  start: `__start_${name}`,
  stop: `__stop_${name}`,
  entrySize: table.entrySize ?? 1,
  isSorted,
});

/** Tables of which every entry about matched code is compared. */
export const linkedTables: readonly LinkedTable[] = [
  linkedTable(jumpTable, '__jump_table'),
  linkedTable(staticCallSites, 'static_call_sites'),
  linkedTable(exceptionTable, '__ex_table', true),
  linkedTable(bugTable, '__bug_table'),
  linkedTable(orcUnwindIp, 'orc_unwind_ip', true),
];

/** Symbols that reading the tables looks up. */
export const tableNames: readonly string[] = [
  ...linkedTables.flatMap(({ start, stop }) => [start, stop]),
  '__start_orc_unwind',
];

/** `s32` relative to itself, in the first field: so all of these tables name their code. */
function ownerAt(bytes: Uint8Array, offset: number, at: Address): Address {
  return addressAt(at, new DataView(bytes.buffer, bytes.byteOffset + offset).getInt32(0, true));
}

/** The first number below `count` that holds, where all behind one that holds do; else `count`. */
function firstAt(count: number, holds: (i: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** An unsorted table, and the order of its entries by the code that they are about. */
interface WholeTable {
  readonly bytes: Uint8Array;
  /** Ascending: the low half of the code's address, then the entry's number. All code lies in the last 4 GiB. */
  readonly keys: Float64Array;
}

/** Entries that a key has room for. */
const KEY_ENTRIES = 2 ** 20;

function keyOf(owner: bigint, number: number): number {
  return Number(BigInt.asUintN(32, owner)) * KEY_ENTRIES + number;
}

/** Reads the tables of one kernel, each whole one once. */
export class RunTables {
  readonly #kernel: Kernel;
  readonly #whole = new Map<LinkedTable, WholeTable>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Entries about code in [from, to], by address of the code; undefined if the kernel has no such table. */
  about(table: LinkedTable, from: Address, to: Address): readonly RunEntry[] | undefined {
    const [start, stop] = [this.#bound(table.start), this.#bound(table.stop)];
    if (start === undefined || stop === undefined) return undefined;
    const count = Number(stop - start) / table.entrySize;
    if (!Number.isInteger(count) || count < 0 || (!table.isSorted && count > KEY_ENTRIES)) {
      throw new MatchError('no_match', `${table.start} to ${table.stop}: ${count} entries`, {
        hint: 'this kernel has another layout of the table than the one known here',
      });
    }
    return table.isSorted
      ? this.#inSorted(table, start, count, from, to)
      : this.#inUnsorted(table, start, count, from, to);
  }

  #bound(name: string): Address | undefined {
    const [only, second] = this.#kernel.named(name);
    return second === undefined ? only?.address : undefined;
  }

  #inUnsorted(
    table: LinkedTable,
    start: Address,
    count: number,
    from: Address,
    to: Address,
  ): readonly RunEntry[] {
    const { bytes, keys } = this.#readWhole(table, start, count);
    const first = firstAt(count, (i) => (keys[i] ?? 0) >= keyOf(from, 0));
    const end = firstAt(count, (i) => (keys[i] ?? 0) > keyOf(to, KEY_ENTRIES - 1));
    return Array.from(keys.subarray(first, end), (key) => {
      const offset = (key % KEY_ENTRIES) * table.entrySize;
      const at = addressAt(start, offset);
      const part = bytes.subarray(offset, offset + table.entrySize);
      return { at, owner: ownerAt(bytes, offset, at), bytes: part, orc: undefined };
    });
  }

  /** Makes no record of an entry before somebody asks for it: there are 10,000, and a unit has a dozen. */
  #readWhole(table: LinkedTable, start: Address, count: number): WholeTable {
    const known = this.#whole.get(table);
    if (known !== undefined) return known;
    const bytes = this.#kernel.read(start, count * table.entrySize);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const low = Number(BigInt.asUintN(32, start));
    const keys = new Float64Array(count);
    for (let i = 0; i < count; i += 1) {
      const offset = i * table.entrySize;
      keys[i] = ((low + offset + view.getInt32(offset, true)) >>> 0) * KEY_ENTRIES + i;
    }
    const whole = { bytes, keys: keys.sort() };
    this.#whole.set(table, whole);
    return whole;
  }

  #inSorted(
    table: LinkedTable,
    start: Address,
    count: number,
    from: Address,
    to: Address,
  ): readonly RunEntry[] {
    const owner = (i: number): Address => {
      const at = addressAt(start, i * table.entrySize);
      return ownerAt(this.#kernel.read(at, 4), 0, at);
    };
    const first = firstAt(count, (i) => owner(i) >= from);
    const end = firstAt(count, (i) => owner(i) > to);
    const base = addressAt(start, first * table.entrySize);
    const bytes = this.#kernel.read(base, (end - first) * table.entrySize);
    const orcs = table.table === orcUnwindIp ? this.#bound('__start_orc_unwind') : undefined;
    const orc =
      orcs === undefined
        ? undefined
        : this.#kernel.read(addressAt(orcs, first * ORC_SIZE), (end - first) * ORC_SIZE);
    return Array.from({ length: end - first }, (_, i) => {
      const offset = i * table.entrySize;
      const at = addressAt(base, offset);
      return {
        at,
        owner: ownerAt(bytes, offset, at),
        bytes: bytes.subarray(offset, offset + table.entrySize),
        orc: orc?.subarray(i * ORC_SIZE, (i + 1) * ORC_SIZE),
      };
    });
  }
}
