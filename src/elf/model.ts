/**
 * The read model of a relocatable object: what `readObject` returns and every pass works on.
 *
 * Section and symbol numbers are different types, so that one cannot be used as the other. Offsets
 * and sizes inside a file are `number`; symbol values are `bigint`, since an absolute symbol's value
 * is a kernel address, which a `number` cannot hold.
 */
declare const sectionIndex: unique symbol;
declare const symbolIndex: unique symbol;

/** Index in the section header table; 0 is never a section. */
export type SectionIndex = number & { readonly [sectionIndex]: true };
/** Index in `.symtab`; 0 is the null symbol. */
export type SymbolIndex = number & { readonly [symbolIndex]: true };

/** An entry of a SHT_RELA (or SHT_REL, addend read from the place) section. */
export interface Relocation {
  /** Offset of the place in the section that is relocated, in bytes. */
  readonly offset: number;
  /** R_X86_64_* (see constants.ts). */
  readonly type: number;
  readonly symbol: SymbolIndex;
  readonly addend: number;
}

export interface Section {
  readonly index: SectionIndex;
  readonly name: string;
  /** SHT_*. */
  readonly type: number;
  /** SHF_* bits. */
  readonly flags: number;
  /** Size in bytes; for SHT_NOBITS, `data` is empty although `size` is not 0. */
  readonly size: number;
  readonly alignment: number;
  readonly entrySize: number;
  readonly link: number;
  readonly info: number;
  /** A view into the file, never a copy. */
  readonly data: Uint8Array;
  /** Relocations of this section, sorted by offset; empty if there are none. */
  readonly relocations: readonly Relocation[];
}

/** Where a symbol is: in a section, or in one of ELF's special places. */
export type SymbolPlace = SectionIndex | 'undefined' | 'absolute' | 'common';

export interface ElfSymbol {
  readonly index: SymbolIndex;
  /** Empty for section symbols. */
  readonly name: string;
  /** Offset in its section, or the value of an absolute symbol. */
  readonly value: bigint;
  readonly size: number;
  /** STB_*. */
  readonly binding: number;
  /** STT_*. */
  readonly type: number;
  /** STV_*. */
  readonly visibility: number;
  readonly place: SymbolPlace;
}

export interface ObjectFile {
  /** Name for messages: `net/ipv4/ip_options.o`. */
  readonly path: string;
  /** Entry i has index i; entry 0 is the null section. */
  readonly sections: readonly Section[];
  /** Entry i has index i; entry 0 is the null symbol. */
  readonly symbols: readonly ElfSymbol[];
}
