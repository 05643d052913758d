/**
 * The kernel's own tables about its code, as they are in its memory: entry by entry, found by the address of
 * the code that an entry is about.
 *
 * The linker gathers each table from all units, and the kernel sorts some when it boots. So an entry's place
 * tells nothing, and the code that it names tells whose it is. (The tables of the ORC unwinder have 400,000 entries,
 * but are sorted by that address, so only the part about a section is read.)
 */
import { MatchError } from '../diagnostics/error.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { Kernel, LoadedModule } from '../kernel/kernel.ts';
import { int32At } from './int32-at.ts';
import { type LinkOrder, readLinkOrder } from './link-order.ts';
import { firstAt } from './sorted.ts';
import {
  type Bounds,
  boundsOf,
  type LinkedTable,
  type ModulePlaces,
  orcAddresses,
  orcEntries,
  placesOf,
} from './table-bounds.ts';

export interface RunEntry {
  readonly at: Address;
  /** The code that it is about. */
  readonly owner: Address;
  readonly bytes: Uint8Array;
}

/** What the ORC unwinder knows of a piece of code. */
export interface OrcRange {
  /** Ascending: distances of the code from where the piece begins, in bytes. */
  readonly offsets: readonly number[];
  /** Of the same number each. */
  readonly entries: readonly Uint8Array[];
}

/** A table that has been read, and the order of its entries by the code that they are about. */
interface WholeTable {
  readonly start: Address;
  readonly bytes: Uint8Array;
  /** Ascending: the low half of the code's address, then the entry's number. All code lies in the last 4 GiB. */
  readonly keys: Float64Array;
}

/** Entries of a sorted table that are read at once. */
const PART_ENTRIES = 256;
/** Entries that a key has room for. */
const KEY_ENTRIES = 2 ** 20;

function lowHalf(address: bigint): number {
  return Number(BigInt.asUintN(32, address));
}

function keyOf(owner: bigint, number: number): number {
  return lowHalf(owner) * KEY_ENTRIES + number;
}

/** Numbers of the entries about [from, to], in the order of the code. */
function numbersIn({ keys }: WholeTable, from: Address, to: Address): readonly number[] {
  const first = firstAt(keys.length, (i) => (keys[i] ?? 0) >= keyOf(from, 0));
  const end = firstAt(keys.length, (i) => (keys[i] ?? 0) > keyOf(to, KEY_ENTRIES - 1));
  return Array.from(keys.subarray(first, end), (key) => key % KEY_ENTRIES);
}

/** Reads the tables of one kernel, each whole one once. */
export class RunTables {
  readonly #kernel: Kernel;
  /** By target and section. */
  readonly #bounds = new Map<string, Bounds | undefined>();
  readonly #whole = new Map<string, WholeTable>();
  #modules: readonly LoadedModule[] | undefined;
  /** By module: asking for them opens a file a section, and there are six tables. */
  readonly #places = new Map<string, ModulePlaces | undefined>();
  /** Parts of sorted tables that have been searched: by where they begin. */
  readonly #parts = new Map<Address, Uint8Array>();
  #linkOrder: { readonly found: LinkOrder | undefined } | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * Entries that a target's table has about code in [from, to], by address of the code; undefined if the target has no
   * such table. Each names its code by an `s32` relative to itself, in its first field.
   */
  about(table: LinkedTable, target: string, from: Address, to: Address): readonly RunEntry[] | undefined {
    const bounds = this.#boundsOf(table, target);
    if (bounds === undefined) return undefined;
    const { entrySize } = table;
    const entry = (first: Address, number: number, bytes: Uint8Array): RunEntry => {
      const at = addressAt(first, number * entrySize);
      const own = bytes.subarray(number * entrySize, (number + 1) * entrySize);
      return { at, owner: addressAt(at, int32At(own, 0)), bytes: own };
    };
    if (!bounds.isSorted) {
      const whole = this.#readWhole(table, target, bounds);
      return numbersIn(whole, from, to).map((number) => entry(whole.start, number, whole.bytes));
    }
    const { first, end } = this.#sortedRange(table, bounds, from, to);
    const start = addressAt(bounds.start, first * entrySize);
    const bytes = this.#kernel.read(start, (end - first) * entrySize);
    return Array.from({ length: end - first }, (_, number) => entry(start, number, bytes));
  }

  /** What ORC has about [from, to]; undefined if the target has no such tables. */
  orcAbout(target: string, from: Address, to: Address): OrcRange | undefined {
    const bounds = this.#boundsOf(orcAddresses, target);
    const says = this.#boundsOf(orcEntries, target);
    if (bounds === undefined || says === undefined) return undefined;
    const size = orcEntries.entrySize;
    if (!bounds.isSorted) {
      const count = Math.min(bounds.count, says.count);
      const whole = this.#readWhole(orcAddresses, target, { ...bounds, count });
      const numbers = numbersIn(whole, from, to);
      const all = this.#partOf(says.start, count * size);
      return {
        offsets: numbers.map((number) => {
          const at = addressAt(whole.start, number * 4);
          return Number(addressAt(at, int32At(whole.bytes, number * 4)) - from);
        }),
        entries: numbers.map((number) => all.subarray(number * size, (number + 1) * size)),
      };
    }
    const { first, end } = this.#sortedRange(orcAddresses, bounds, from, to);
    const start = addressAt(bounds.start, first * 4);
    const bytes = this.#kernel.read(start, (end - first) * 4);
    const all = this.#kernel.read(addressAt(says.start, first * size), (end - first) * size);
    const distance = Number(start - from);
    return {
      offsets: Array.from({ length: end - first }, (_, i) => distance + i * 4 + int32At(bytes, i * 4)),
      entries: Array.from({ length: end - first }, (_, i) => all.subarray(i * size, (i + 1) * size)),
    };
  }

  /** In which order vmlinux's units are linked; undefined where the kernel does not show one. */
  linkOrder(): LinkOrder | undefined {
    this.#linkOrder ??= { found: readLinkOrder(this.#kernel) };
    return this.#linkOrder.found;
  }

  #boundsOf(table: LinkedTable, target: string): Bounds | undefined {
    const key = `${target} ${table.table.section}`;
    if (!this.#bounds.has(key)) {
      this.#bounds.set(key, boundsOf(this.#kernel, table, target, this.#placesOf(target)));
    }
    return this.#bounds.get(key);
  }

  #placesOf(target: string): ModulePlaces | undefined {
    if (!this.#places.has(target)) {
      this.#modules ??= this.#kernel.modules();
      this.#places.set(target, placesOf(this.#kernel, this.#modules, target));
    }
    return this.#places.get(target);
  }

  /** Memory that does not change, read once. */
  #partOf(start: Address, size: number): Uint8Array {
    const known = this.#parts.get(start);
    if (known !== undefined) return known;
    const bytes = this.#kernel.read(start, size);
    this.#parts.set(start, bytes);
    return bytes;
  }

  /** Makes no record of an entry before somebody asks for it: there are 10,000, and a unit has a dozen. */
  #readWhole({ table, entrySize }: LinkedTable, target: string, { start, count }: Bounds): WholeTable {
    const name = `${target} ${table.section}`;
    const known = this.#whole.get(name);
    if (known !== undefined) return known;
    if (count > KEY_ENTRIES) {
      throw new MatchError(
        'no_match',
        `${target}: ${table.section} has ${count} entries, which are too many`,
      );
    }
    const bytes = this.#kernel.read(start, count * entrySize);
    const low = lowHalf(start);
    const keys = new Float64Array(count);
    for (let i = 0; i < count; i += 1) {
      const offset = i * entrySize;
      keys[i] = ((low + offset + int32At(bytes, offset)) >>> 0) * KEY_ENTRIES + i;
    }
    const whole = { start, bytes, keys: keys.sort() };
    this.#whole.set(name, whole);
    return whole;
  }

  /** Numbers of the entries about [from, to], of a table that is sorted by that. */
  #sortedRange(
    { entrySize }: LinkedTable,
    { start, count }: Bounds,
    from: Address,
    to: Address,
  ): { readonly first: number; readonly end: number } {
    // A search looks at twenty entries, of which the first are always the same ones, and the last are neighbours.
    const owner = (i: number): Address => {
      const first = i - (i % PART_ENTRIES);
      const size = Math.min(PART_ENTRIES, count - first) * entrySize;
      const part = this.#partOf(addressAt(start, first * entrySize), size);
      return addressAt(start, i * entrySize + int32At(part, (i - first) * entrySize));
    };
    return { first: firstAt(count, (i) => owner(i) >= from), end: firstAt(count, (i) => owner(i) > to) };
  }
}
