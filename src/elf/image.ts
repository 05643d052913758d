/**
 * The write model of a relocatable object: what `writeObject` turns into bytes.
 *
 * Plain records without section or symbol numbers of their own: a symbol names its section, and a
 * relocation its symbol, by position in these lists. The writer sorts local symbols before global
 * ones, as gABI demands, and renumbers.
 */
export interface RelocationImage {
  readonly offset: number;
  readonly type: number;
  /** Position in `ObjectImage.symbols`. */
  readonly symbol: number;
  readonly addend: number;
  /** The kernel's livepatch applies it, for this object: `vmlinux`, or a module. Its symbol has the place `livepatch`. */
  readonly livepatch?: string;
}

export interface SectionImage {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly alignment: number;
  readonly entrySize: number;
  /** Contents; for SHT_NOBITS a size in bytes. */
  readonly contents: Uint8Array | number;
  readonly relocations: readonly RelocationImage[];
  /** Position in `ObjectImage.sections` of the section that sh_link names; with SHF_LINK_ORDER only. */
  readonly orderedBy?: number;
}

export interface SymbolImage {
  readonly name: string;
  readonly value: bigint;
  readonly size: number;
  readonly binding: number;
  readonly type: number;
  readonly visibility: number;
  /** Position in `ObjectImage.sections`, or one of ELF's special places. */
  readonly place: number | 'undefined' | 'absolute' | 'livepatch';
}

export interface ObjectImage {
  readonly sections: readonly SectionImage[];
  readonly symbols: readonly SymbolImage[];
}
