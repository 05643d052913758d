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
}

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

/** Reads the tables of one kernel, each whole one once. */
export class RunTables {
  readonly #kernel: Kernel;
  readonly #whole = new Map<LinkedTable, readonly RunEntry[]>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Entries about code in [from, to], by address of the code; undefined if the kernel has no such table. */
  about(table: LinkedTable, from: Address, to: Address): readonly RunEntry[] | undefined {
    const [start, stop] = [this.#bound(table.start), this.#bound(table.stop)];
    if (start === undefined || stop === undefined) return undefined;
    const count = Number(stop - start) / table.entrySize;
    if (!Number.isInteger(count) || count < 0) {
      throw new MatchError('no_match', `${table.start} to ${table.stop}: no whole number of entries`, {
        hint: 'this kernel has another layout of the table than the one known here',
      });
    }
    if (table.isSorted) return this.#sorted(table, start, count, from, to);
    const all = this.#all(table, start, count);
    return all.slice(
      firstAt(all.length, (i) => (all[i]?.owner ?? 0n) >= from),
      firstAt(all.length, (i) => (all[i]?.owner ?? 0n) > to),
    );
  }

  /** The part of `.orc_unwind` that goes with an entry of `.orc_unwind_ip`. */
  orcOf({ at }: RunEntry, size: number): Uint8Array | undefined {
    const [ips, orcs] = [this.#bound('__start_orc_unwind_ip'), this.#bound('__start_orc_unwind')];
    if (ips === undefined || orcs === undefined) return undefined;
    return this.#kernel.read(addressAt(orcs, ((at - ips) / 4n) * BigInt(size)), size);
  }

  #bound(name: string): Address | undefined {
    const [only, second] = this.#kernel.named(name);
    return second === undefined ? only?.address : undefined;
  }

  #entries(table: LinkedTable, start: Address, count: number): readonly RunEntry[] {
    const bytes = this.#kernel.read(start, count * table.entrySize);
    return Array.from({ length: count }, (_, i) => {
      const offset = i * table.entrySize;
      const at = addressAt(start, offset);
      return {
        at,
        owner: ownerAt(bytes, offset, at),
        bytes: bytes.subarray(offset, offset + table.entrySize),
      };
    });
  }

  #all(table: LinkedTable, start: Address, count: number): readonly RunEntry[] {
    const known = this.#whole.get(table);
    if (known !== undefined) return known;
    const entries = this.#entries(table, start, count).toSorted((a, b) =>
      a.owner < b.owner ? -1 : a.owner > b.owner ? 1 : 0,
    );
    this.#whole.set(table, entries);
    return entries;
  }

  #sorted(
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
    return this.#entries(table, addressAt(start, first * table.entrySize), end - first);
  }
}
