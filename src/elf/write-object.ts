/**
 * Writes a relocatable object from its image: ELF64, little-endian, x86-64, ET_REL.
 *
 * Two things can go wrong in a writer, offsets and numbers, and each gets a phase of its own.
 * First everything that has a number is numbered: section i of the image becomes section i + 1, then come
 * the generated ones (a `.rela` section for each section with relocations, `.symtab`, `.strtab`, `.shstrtab`);
 * local symbols come before the others, as the gABI demands, each kind in the image's order. Then every part
 * reserves its range of the file, and only after that are bytes written; each part checks that it starts
 * where it was promised to, so that a wrong size is found here and not by the kernel's loader.
 *
 * The same image gives the same bytes. What the image cannot express is either left out (SHF_GROUP: the
 * image has no groups, and a member without its group is an ordinary section) or a bug of the caller.
 */
import { InternalError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import {
  EHDR_SIZE,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_X86_64,
  ET_REL,
  EV_CURRENT,
  RELA_SIZE,
  SHDR_SIZE,
  SHF_ALLOC,
  SHF_GROUP,
  SHF_INFO_LINK,
  SHF_RELA_LIVEPATCH,
  SHN_ABS,
  SHN_LIVEPATCH,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHT_GROUP,
  SHT_NOBITS,
  SHT_NULL,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  STB_LOCAL,
  SYM_SIZE,
} from './constants.ts';
import type { ObjectImage, RelocationImage, SectionImage, SymbolImage } from './image.ts';
import { Output } from './output.ts';
import { StringTable } from './string-table-builder.ts';

/** A section to be written: its header's fields, and how its bytes are made. */
interface Part {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
  readonly size: number;
  readonly write: (output: Output) => void;
}

/** Positions in the image to numbers in the file. */
interface Numbering {
  /** Symbols in the file's order, without the null symbol. */
  readonly symbols: readonly SymbolImage[];
  /** Symbol number by position in the image. */
  readonly symbolAt: readonly number[];
  /** Number of the first symbol that is not local. */
  readonly firstGlobal: number;
  readonly symtab: number;
  readonly strtab: number;
  readonly shstrtab: number;
}

/**
 * Alignment of a part in the file is for readers that map it, none of which wants more than a page;
 * without the limit an image of a few bytes could ask for a huge file.
 */
const FILE_ALIGNMENT_LIMIT = 4096;

const generatedTypes: readonly number[] = [
  SHT_NULL,
  SHT_SYMTAB,
  SHT_RELA,
  SHT_REL,
  SHT_GROUP,
  SHT_SYMTAB_SHNDX,
];

/** The object's bytes. Throws InternalError for an image that contradicts itself. */
export function writeObject(image: ObjectImage): Uint8Array {
  image.sections.forEach((section) => {
    checkSection(section, image);
  });
  const numbering = numberAll(image);
  const names = new StringTable();
  const sectionNames = new StringTable();

  const parts: readonly Part[] = [
    ...image.sections.map(contentsPart),
    ...image.sections.flatMap((section, i) => relocationParts(section, i + 1, numbering)),
    symbolPart(numbering, names),
    stringPart('.strtab', names),
    stringPart('.shstrtab', sectionNames),
  ];
  const nameOffsets = parts.map((part) => sectionNames.add(part.name));
  return assemble(parts, nameOffsets, numbering.shstrtab);
}

function checkSection(section: SectionImage, image: ObjectImage): void {
  const where = `section ${section.name}`;
  const { alignment, contents, type } = section;
  if (alignment !== 0 && !Number.isInteger(Math.log2(alignment))) {
    throw bug(`${where} has alignment ${hex(alignment)}, expected a power of two`);
  }
  if (generatedTypes.includes(type)) throw bug(`${where} has type ${type}, which only the writer makes`);
  if ((type === SHT_NOBITS) !== (typeof contents === 'number')) {
    throw bug(`${where} of type ${type} has contents of type ${typeof contents}`);
  }
  if (type === SHT_NOBITS && section.relocations.length > 0) {
    throw bug(`${where} has relocations and no bytes`);
  }
  if (section.orderedBy !== undefined && image.sections[section.orderedBy] === undefined) {
    throw bug(`${where} is ordered by section ${section.orderedBy} of ${image.sections.length}`);
  }
}

function numberAll(image: ObjectImage): Numbering {
  const symbols: SymbolImage[] = [];
  const symbolAt: number[] = [];
  const take = (local: boolean): void => {
    image.symbols.forEach((symbol, i) => {
      if ((symbol.binding === STB_LOCAL) !== local) return;
      symbolAt[i] = symbols.push(symbol);
      if (typeof symbol.place === 'number' && image.sections[symbol.place] === undefined) {
        throw bug(`symbol ${symbol.name} is in section ${symbol.place} of ${image.sections.length}`);
      }
    });
  };
  take(true);
  const firstGlobal = symbols.length + 1;
  take(false);

  const relocated = image.sections.reduce((sum, section) => sum + relocationGroups(section).length, 0);
  const symtab = 1 + image.sections.length + relocated;
  if (symtab + 3 > SHN_LORESERVE) {
    throw bug(`found ${symtab + 3} sections, expected less than ${hex(SHN_LORESERVE)}`);
  }
  return { symbols, symbolAt, firstGlobal, symtab, strtab: symtab + 1, shstrtab: symtab + 2 };
}

function contentsPart(section: SectionImage): Part {
  const { contents } = section;
  return {
    name: section.name,
    type: section.type,
    flags: section.flags & ~SHF_GROUP,
    link: section.orderedBy === undefined ? 0 : section.orderedBy + 1,
    info: 0,
    alignment: section.alignment,
    entrySize: section.entrySize,
    size: typeof contents === 'number' ? contents : contents.length,
    write: (output) => {
      if (typeof contents !== 'number') output.bytes(contents);
    },
  };
}

interface RelocationGroup {
  /** Undefined: the module loader applies them. */
  readonly livepatch: string | undefined;
  readonly relocations: readonly RelocationImage[];
}

/** The relocations of a section, by who applies them: each kind is a section of its own. */
function relocationGroups({ relocations }: SectionImage): readonly RelocationGroup[] {
  const groups = new Map<string | undefined, RelocationImage[]>();
  for (const relocation of relocations) {
    const list = groups.get(relocation.livepatch);
    if (list === undefined) groups.set(relocation.livepatch, [relocation]);
    else list.push(relocation);
  }
  return [...groups].map(([livepatch, list]) => ({
    livepatch,
    relocations: list.toSorted((a, b) => a.offset - b.offset),
  }));
}

function relocationParts(section: SectionImage, target: number, numbering: Numbering): readonly Part[] {
  return relocationGroups(section).map(({ livepatch, relocations }) => ({
    // Documentation/livepatch/module-elf-format.rst: they stay in memory, to be applied when the module comes.
    name: livepatch === undefined ? `.rela${section.name}` : `.klp.rela.${livepatch}.${section.name}`,
    type: SHT_RELA,
    flags: livepatch === undefined ? SHF_INFO_LINK : SHF_INFO_LINK | SHF_ALLOC | SHF_RELA_LIVEPATCH,
    link: numbering.symtab,
    info: target,
    alignment: 8,
    entrySize: RELA_SIZE,
    size: relocations.length * RELA_SIZE,
    write: (output) => {
      for (const relocation of relocations) {
        const symbol = numbering.symbolAt[relocation.symbol];
        if (symbol === undefined) {
          throw bug(
            `${section.name}+${hex(relocation.offset)}: relocation uses symbol ${relocation.symbol} ` +
              `of ${numbering.symbols.length}`,
          );
        }
        output.u64(BigInt(relocation.offset));
        output.u32(relocation.type);
        output.u32(symbol);
        output.i64(BigInt(relocation.addend));
      }
    },
  }));
}

function symbolPart(numbering: Numbering, names: StringTable): Part {
  const { symbols } = numbering;
  const offsets = symbols.map((symbol) => names.add(symbol.name));
  return {
    name: '.symtab',
    type: SHT_SYMTAB,
    flags: 0,
    link: numbering.strtab,
    info: numbering.firstGlobal,
    alignment: 8,
    entrySize: SYM_SIZE,
    size: (symbols.length + 1) * SYM_SIZE,
    write: (output) => {
      output.zeros(SYM_SIZE);
      symbols.forEach((symbol, i) => {
        output.u32(offsets[i] ?? 0);
        output.u8((symbol.binding << 4) | symbol.type);
        output.u8(symbol.visibility);
        output.u16(sectionField(symbol));
        output.u64(symbol.value);
        output.u64(BigInt(symbol.size));
      });
    },
  };
}

function sectionField({ place }: SymbolImage): number {
  if (place === 'undefined') return SHN_UNDEF;
  if (place === 'absolute') return SHN_ABS;
  if (place === 'livepatch') return SHN_LIVEPATCH;
  return place + 1;
}

/** The size is final only when all names are in: it is read after the other parts have been made. */
function stringPart(name: string, table: StringTable): Part {
  return {
    name,
    type: SHT_STRTAB,
    flags: 0,
    link: 0,
    info: 0,
    alignment: 1,
    entrySize: 0,
    get size() {
      return table.size;
    },
    write: (output) => {
      table.write(output);
    },
  };
}

function assemble(parts: readonly Part[], nameOffsets: readonly number[], shstrtab: number): Uint8Array {
  // Reserve.
  let end = EHDR_SIZE;
  const offsets = parts.map((part) => {
    const offset = alignUp(end, Math.min(Math.max(part.alignment, 1), FILE_ALIGNMENT_LIMIT));
    end = offset + (part.type === SHT_NOBITS ? 0 : part.size);
    return offset;
  });
  const headers = alignUp(end, 8);
  const output = new Output(headers + (parts.length + 1) * SHDR_SIZE);

  // Write.
  writeFileHeader(output, headers, parts.length + 1, shstrtab);
  parts.forEach((part, i) => {
    if (part.type === SHT_NOBITS) return;
    const offset = offsets[i] ?? 0;
    output.padTo(offset, part.name);
    part.write(output);
    output.expectPosition(offset + part.size, `end of ${part.name}`);
  });
  output.padTo(headers, 'section header table');
  output.zeros(SHDR_SIZE);
  parts.forEach((part, i) => {
    output.u32(nameOffsets[i] ?? 0);
    output.u32(part.type);
    output.u64(BigInt(part.flags));
    output.u64(0n);
    output.u64(BigInt(offsets[i] ?? 0));
    output.u64(BigInt(part.size));
    output.u32(part.link);
    output.u32(part.info);
    output.u64(BigInt(part.alignment));
    output.u64(BigInt(part.entrySize));
  });
  return output.finish();
}

function writeFileHeader(output: Output, headers: number, count: number, shstrtab: number): void {
  output.bytes(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, ELFCLASS64, ELFDATA2LSB, EV_CURRENT));
  output.zeros(9); // ELFOSABI_NONE, and padding
  output.u16(ET_REL);
  output.u16(EM_X86_64);
  output.u32(EV_CURRENT);
  output.u64(0n); // e_entry
  output.u64(0n); // e_phoff
  output.u64(BigInt(headers));
  output.u32(0); // e_flags
  output.u16(EHDR_SIZE);
  output.u16(0); // e_phentsize
  output.u16(0); // e_phnum
  output.u16(SHDR_SIZE);
  output.u16(count);
  output.u16(shstrtab);
}

function alignUp(position: number, alignment: number): number {
  return Math.ceil(position / alignment) * alignment;
}

function bug(message: string): InternalError {
  return new InternalError('unexpected', `object writer: ${message}`);
}
