import { InternalError } from '../diagnostics/error.ts';
import type { Output } from './output.ts';

/** A string table that grows: each name once, in the order of first use; offset 0 is the empty name. */
export class StringTable {
  readonly #offsets = new Map<string, number>([['', 0]]);
  readonly #encoded: Uint8Array[] = [];
  #size = 1;

  /** Size in bytes of the section so far. */
  get size(): number {
    return this.#size;
  }

  /** Offset of the name in the table. */
  add(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const encoded = new TextEncoder().encode(name);
    if (encoded.includes(0)) {
      throw new InternalError('unexpected', `object writer: the name ${JSON.stringify(name)} contains a NUL`);
    }
    const offset = this.#size;
    this.#offsets.set(name, offset);
    this.#encoded.push(encoded);
    this.#size += encoded.length + 1;
    return offset;
  }

  write(output: Output): void {
    output.zeros(1);
    for (const encoded of this.#encoded) {
      output.bytes(encoded);
      output.zeros(1);
    }
  }
}
