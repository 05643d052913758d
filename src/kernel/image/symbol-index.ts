/**
 * Kernel symbols by name and by address.
 *
 * A kernel has about 90,000 and an update asks for some dozens, so a record is made for a symbol when it is asked for;
 * until then it is a name, a letter and a number in three arrays. The map from names has the index of a name's
 * first symbol only, and a second array leads from there to the next symbol of the same name.
 */
import { type Address, toAddress } from '../address.ts';
import type { KernelSymbol } from '../kernel.ts';

export interface SymbolColumns {
  readonly names: readonly string[];
  /** nm's letters, one character a symbol. */
  readonly types: string;
  readonly addresses: BigUint64Array;
}

/** As far from a symbol nothing is described by it. */
const FARTHEST = 0x10_0000n;
const NONE = -1;

export class SymbolIndex {
  readonly #columns: SymbolColumns;
  readonly #module: string | undefined;
  #byName: { readonly first: ReadonlyMap<string, number>; readonly next: Int32Array } | undefined;
  #byAddress: Uint32Array | undefined;

  /** `module`: whose symbols they are; built-in ones where undefined. */
  constructor(columns: SymbolColumns, module: string | undefined) {
    this.#columns = columns;
    this.#module = module;
  }

  get size(): number {
    return this.#columns.names.length;
  }

  /** All symbols, in their order. */
  *all(): Generator<KernelSymbol> {
    for (let i = 0; i < this.size; i++) yield this.#at(i);
  }

  /** The name of each symbol, in their order. */
  names(): readonly string[] {
    return this.#columns.names;
  }

  /** All symbols of this name, in their order. */
  named(name: string): readonly KernelSymbol[] {
    const { first, next } = this.#indexNames();
    const found: KernelSymbol[] = [];
    for (let i = first.get(name) ?? NONE; i !== NONE; i = next[i] ?? NONE) found.push(this.#at(i));
    return found;
  }

  /** The last symbol at or below an address, the first one there if there are several; at most 1 MiB away. */
  nearest(at: Address): KernelSymbol | undefined {
    const order = this.#indexAddresses();
    const { addresses } = this.#columns;
    const addressOf = (position: number): bigint => addresses[order[position] ?? 0] ?? 0n;
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (addressOf(middle) <= at) low = middle + 1;
      else high = middle;
    }
    let position = low - 1;
    if (position < 0 || at - addressOf(position) > FARTHEST) return undefined;
    while (position > 0 && addressOf(position - 1) === addressOf(position)) position -= 1;
    return this.#at(order[position] ?? 0);
  }

  #at(index: number): KernelSymbol {
    const { names, types, addresses } = this.#columns;
    return {
      name: names[index] ?? '',
      address: toAddress(addresses[index] ?? 0n),
      type: types.charAt(index),
      module: this.#module,
    };
  }

  #indexNames(): { readonly first: ReadonlyMap<string, number>; readonly next: Int32Array } {
    if (this.#byName === undefined) {
      const { names } = this.#columns;
      const first = new Map<string, number>();
      const next = new Int32Array(names.length).fill(NONE);
      // From the end, so that each name's chain runs forwards.
      for (let i = names.length - 1; i >= 0; i--) {
        const name = names[i] ?? '';
        next[i] = first.get(name) ?? NONE;
        first.set(name, i);
      }
      this.#byName = { first, next };
    }
    return this.#byName;
  }

  /** Positions in the order of addresses; those of the same address in their own order. */
  #indexAddresses(): Uint32Array {
    if (this.#byAddress === undefined) {
      const { addresses } = this.#columns;
      const order = Uint32Array.from(addresses, (_, i) => i);
      const isSorted = addresses.every((each, i) => i === 0 || each >= (addresses[i - 1] ?? 0n));
      if (!isSorted) {
        order.sort((a, b) => {
          const left = addresses[a] ?? 0n;
          const right = addresses[b] ?? 0n;
          return left === right ? a - b : left < right ? -1 : 1;
        });
      }
      this.#byAddress = order;
    }
    return this.#byAddress;
  }
}
