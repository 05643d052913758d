/** One section of constants for the kernel, made piece by piece, as an object to be linked. */
import {
  R_X86_64_64,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_PROGBITS,
  STB_GLOBAL,
  STT_NOTYPE,
  STT_OBJECT,
} from '../elf/constants.ts';
import type { RelocationImage, SymbolImage } from '../elf/image.ts';
import { writeObject } from '../elf/write-object.ts';

/** Nobody comes here. */
const INT3 = 0xcc;

/** Appends pieces to one section, and remembers what has to be relocated. */
export class TableBuilder {
  readonly relocations: RelocationImage[] = [];
  readonly symbols: SymbolImage[] = [];
  readonly #bytes: number[] = [];

  /** Symbol 0 is the start of the section, for pointers inside it. */
  constructor() {
    this.symbols.push(this.#symbol('', 0, 0, 0));
  }

  #symbol(name: string, value: number, size: number, place: number | 'undefined'): SymbolImage {
    const type = place === 'undefined' ? STT_NOTYPE : STT_OBJECT;
    const binding = name === '' ? 0 : STB_GLOBAL;
    return { name, value: BigInt(value), size, binding, type, visibility: 0, place };
  }

  align(): number {
    while (this.#bytes.length % 8 !== 0) this.#bytes.push(0);
    return this.#bytes.length;
  }

  bytes(bytes: Iterable<number>): number {
    const at = this.#bytes.length;
    for (const byte of bytes) this.#bytes.push(byte);
    return at;
  }

  u32(value: number): void {
    this.bytes([value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff]);
  }

  u64(value: bigint): void {
    this.u32(Number(value & 0xffffffffn));
    this.u32(Number(value >> 32n));
  }

  /** A pointer to `addend` of this section. */
  pointer(addend: number): void {
    const offset = this.bytes(new Uint8Array(8));
    this.relocations.push({ offset, type: R_X86_64_64, symbol: 0, addend });
  }

  pointerTo(name: string, addend = 0): void {
    const offset = this.bytes(new Uint8Array(8));
    const symbol = this.symbols.push(this.#symbol(name, 0, 0, 'undefined')) - 1;
    this.relocations.push({ offset, type: R_X86_64_64, symbol, addend });
  }

  /** A string with its NUL; returns where it starts. */
  string(text: string): number {
    return this.bytes([...Buffer.from(text, 'latin1'), 0]);
  }

  define(name: string, at: number): void {
    this.symbols.push(this.#symbol(name, at, this.#bytes.length - at, 0));
  }

  /** `marker`: the name of a place in the module's code, behind that of all objects before this one. */
  finish(marker?: string): Uint8Array {
    const section = {
      name: '.rodata.ksplice',
      type: SHT_PROGBITS,
      flags: SHF_ALLOC,
      alignment: 8,
      entrySize: 0,
      contents: Uint8Array.from(this.#bytes),
      relocations: this.relocations,
    };
    if (marker === undefined) return writeObject({ sections: [section], symbols: this.symbols });
    const code = {
      ...section,
      name: '.text',
      flags: SHF_ALLOC | SHF_EXECINSTR,
      alignment: 1,
      contents: Uint8Array.of(INT3),
      relocations: [],
    };
    const symbol = { ...this.#symbol(marker, 0, 0, 1), type: STT_NOTYPE };
    return writeObject({ sections: [section, code], symbols: [...this.symbols, symbol] });
  }
}
