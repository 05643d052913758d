/**
 * Constants of ELF64 relocatable objects under ELF's own spellings, as far as objects from a C
 * compiler use them. Sources: the System V gABI, and the x86-64 psABI for the relocations.
 *
 * The relocations, in the psABI's notation: A is the addend, B the load base, G the offset of the symbol's
 * GOT entry from the GOT, GOT the address of the GOT, L the address of the symbol's PLT entry, P the
 * address of the place, S the value of the symbol, Z its size. An object that is linked into a kernel
 * image or loaded as a module has neither GOT nor PLT: there PLT32 is PC32.
 *
 *     relocation                 type  field  formula
 *     R_X86_64_NONE                 0      0  none
 *     R_X86_64_64                   1      8  S + A
 *     R_X86_64_PC32                 2      4  S + A - P
 *     R_X86_64_GOT32                3      4  G + A
 *     R_X86_64_PLT32                4      4  L + A - P
 *     R_X86_64_COPY                 5      0  the dynamic linker's
 *     R_X86_64_GLOB_DAT             6      8  S
 *     R_X86_64_JUMP_SLOT            7      8  S
 *     R_X86_64_RELATIVE             8      8  B + A
 *     R_X86_64_GOTPCREL             9      4  G + GOT + A - P
 *     R_X86_64_32                  10      4  S + A, zero-extended
 *     R_X86_64_32S                 11      4  S + A, sign-extended
 *     R_X86_64_16                  12      2  S + A
 *     R_X86_64_PC16                13      2  S + A - P
 *     R_X86_64_8                   14      1  S + A
 *     R_X86_64_PC8                 15      1  S + A - P
 *     R_X86_64_DTPMOD64            16      8  module number of a TLS symbol
 *     R_X86_64_DTPOFF64            17      8  offset in the TLS block
 *     R_X86_64_TPOFF64             18      8  offset from the thread pointer
 *     R_X86_64_TLSGD               19      4  GOT entry pair of a TLS symbol - P
 *     R_X86_64_TLSLD               20      4  GOT entry pair of the module - P
 *     R_X86_64_DTPOFF32            21      4  offset in the TLS block
 *     R_X86_64_GOTTPOFF            22      4  GOT entry of the TPOFF64 - P
 *     R_X86_64_TPOFF32             23      4  offset from the thread pointer
 *     R_X86_64_PC64                24      8  S + A - P
 *     R_X86_64_GOTOFF64            25      8  S + A - GOT
 *     R_X86_64_GOTPC32             26      4  GOT + A - P
 *     R_X86_64_GOT64               27      8  G + A
 *     R_X86_64_GOTPCREL64          28      8  G + GOT + A - P
 *     R_X86_64_GOTPC64             29      8  GOT + A - P
 *     R_X86_64_GOTPLT64            30      8  G + A
 *     R_X86_64_PLTOFF64            31      8  L + A - GOT
 *     R_X86_64_SIZE32              32      4  Z + A
 *     R_X86_64_SIZE64              33      8  Z + A
 *     R_X86_64_GOTPC32_TLSDESC     34      4  GOT entry of the TLS descriptor - P
 *     R_X86_64_TLSDESC_CALL        35      0  marks a call, changes no byte
 *     R_X86_64_TLSDESC             36     16  a TLS descriptor
 *     R_X86_64_IRELATIVE           37      8  result of calling B + A
 *     R_X86_64_RELATIVE64          38      8  B + A
 *     R_X86_64_GOTPCRELX           41      4  G + GOT + A - P, may be relaxed
 *     R_X86_64_REX_GOTPCRELX       42      4  G + GOT + A - P, may be relaxed
 */
import { InternalError } from '../diagnostics/error.ts';

// File header.
export const EI_CLASS = 4;
export const EI_DATA = 5;
export const EI_VERSION = 6;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const EV_CURRENT = 1;
export const ET_REL = 1;
export const EM_X86_64 = 62;

// Sizes of the on-disk records, in bytes.
export const EHDR_SIZE = 64;
export const SHDR_SIZE = 64;
export const SYM_SIZE = 24;
export const RELA_SIZE = 24;

// Section types.
export const SHT_NULL = 0;
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHT_REL = 9;
export const SHT_INIT_ARRAY = 14;
export const SHT_FINI_ARRAY = 15;
export const SHT_GROUP = 17;
export const SHT_SYMTAB_SHNDX = 18;

// Section flags.
export const SHF_WRITE = 0x1;
export const SHF_ALLOC = 0x2;
export const SHF_EXECINSTR = 0x4;
export const SHF_MERGE = 0x10;
export const SHF_STRINGS = 0x20;
export const SHF_INFO_LINK = 0x40;
export const SHF_LINK_ORDER = 0x80;
export const SHF_GROUP = 0x200;
export const SHF_TLS = 0x400;
export const SHF_COMPRESSED = 0x800;
/** include/uapi/linux/elf.h: relocations that the kernel's livepatch applies. */
export const SHF_RELA_LIVEPATCH = 0x0010_0000;

// Special section indices.
export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
/** include/uapi/linux/elf.h: a symbol that the kernel's livepatch looks up. */
export const SHN_LIVEPATCH = 0xff20;
export const SHN_ABS = 0xfff1;
export const SHN_COMMON = 0xfff2;
export const SHN_XINDEX = 0xffff;

// Symbol bindings.
export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;

// Symbol types.
export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STT_FILE = 4;
export const STT_COMMON = 5;
export const STT_TLS = 6;

// Symbol visibilities.
export const STV_DEFAULT = 0;
export const STV_INTERNAL = 1;
export const STV_HIDDEN = 2;
export const STV_PROTECTED = 3;

// The relocations that code without GOT and TLS uses; the whole list is above.
export const R_X86_64_NONE = 0;
export const R_X86_64_64 = 1;
export const R_X86_64_PC32 = 2;
export const R_X86_64_PLT32 = 4;
export const R_X86_64_32 = 10;
export const R_X86_64_32S = 11;
export const R_X86_64_16 = 12;
export const R_X86_64_PC16 = 13;
export const R_X86_64_8 = 14;
export const R_X86_64_PC8 = 15;
export const R_X86_64_PC64 = 24;

/** Name without the common prefix, and field size in bytes, by type. */
const relocations: ReadonlyMap<number, readonly [string, number]> = new Map([
  [0, ['NONE', 0]],
  [1, ['64', 8]],
  [2, ['PC32', 4]],
  [3, ['GOT32', 4]],
  [4, ['PLT32', 4]],
  [5, ['COPY', 0]],
  [6, ['GLOB_DAT', 8]],
  [7, ['JUMP_SLOT', 8]],
  [8, ['RELATIVE', 8]],
  [9, ['GOTPCREL', 4]],
  [10, ['32', 4]],
  [11, ['32S', 4]],
  [12, ['16', 2]],
  [13, ['PC16', 2]],
  [14, ['8', 1]],
  [15, ['PC8', 1]],
  [16, ['DTPMOD64', 8]],
  [17, ['DTPOFF64', 8]],
  [18, ['TPOFF64', 8]],
  [19, ['TLSGD', 4]],
  [20, ['TLSLD', 4]],
  [21, ['DTPOFF32', 4]],
  [22, ['GOTTPOFF', 4]],
  [23, ['TPOFF32', 4]],
  [24, ['PC64', 8]],
  [25, ['GOTOFF64', 8]],
  [26, ['GOTPC32', 4]],
  [27, ['GOT64', 8]],
  [28, ['GOTPCREL64', 8]],
  [29, ['GOTPC64', 8]],
  [30, ['GOTPLT64', 8]],
  [31, ['PLTOFF64', 8]],
  [32, ['SIZE32', 4]],
  [33, ['SIZE64', 8]],
  [34, ['GOTPC32_TLSDESC', 4]],
  [35, ['TLSDESC_CALL', 0]],
  [36, ['TLSDESC', 16]],
  [37, ['IRELATIVE', 8]],
  [38, ['RELATIVE64', 8]],
  [41, ['GOTPCRELX', 4]],
  [42, ['REX_GOTPCRELX', 4]],
]);

/** Whether the type is in the table above; `readObject` refuses others. */
export function isKnownRelocation(type: number): boolean {
  return relocations.has(type);
}

const loadable: ReadonlySet<number> = new Set([
  R_X86_64_64,
  R_X86_64_PC64,
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_PC32,
  R_X86_64_PLT32,
]);

/** Whether the kernel's module loader knows the type (apply_relocate_add(), arch/x86/kernel/module.c). */
export function isLoadableRelocation(type: number): boolean {
  return loadable.has(type);
}

/** `R_X86_64_PC32`; an unknown type gives `R_X86_64_(99)`. */
export function relocationName(type: number): string {
  return `R_X86_64_${relocations.get(type)?.[0] ?? `(${type})`}`;
}

/** How many bytes at the place the relocation writes; every type that `readObject` lets through has one. */
export function relocationFieldSize(type: number): number {
  const entry = relocations.get(type);
  if (entry === undefined) {
    throw new InternalError('unexpected', `the field size of relocation type ${type} is unknown`);
  }
  return entry[1];
}
