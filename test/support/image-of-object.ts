import {
  SHF_LINK_ORDER,
  SHT_GROUP,
  SHT_NOBITS,
  SHT_NULL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
} from '../../src/elf/constants.ts';
import type { ObjectImage, SymbolImage } from '../../src/elf/image.ts';
import type { ElfSymbol, ObjectFile } from '../../src/elf/model.ts';

const generated = [SHT_NULL, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_GROUP, SHT_SYMTAB_SHNDX];

/** The image that writes the object again: what the writer generates, and section groups, left out. */
export function imageOfObject(object: ObjectFile): ObjectImage {
  const kept = object.sections.filter((section) => !generated.includes(section.type));
  const position = new Map(kept.map((section, i) => [section.index, i]));

  const place = (symbol: ElfSymbol): SymbolImage['place'] => {
    if (symbol.place === 'common') throw new Error(`${symbol.name}: the image has no common symbols`);
    if (typeof symbol.place !== 'number') return symbol.place;
    const at = position.get(symbol.place);
    // Symbols of a section that is not kept (a group's signature) become undefined.
    return at ?? 'undefined';
  };
  const linked = kept.map((section) =>
    kept.findIndex((other) => (section.flags & SHF_LINK_ORDER) !== 0 && other.index === section.link),
  );
  return {
    sections: kept.map((section, i) => ({
      name: section.name,
      type: section.type,
      flags: section.flags,
      alignment: section.alignment,
      entrySize: section.entrySize,
      contents: section.type === SHT_NOBITS ? section.size : section.data,
      relocations: section.relocations.map((relocation) => ({
        ...relocation,
        symbol: relocation.symbol - 1,
      })),
      ...(linked[i] === undefined || linked[i] < 0 ? {} : { orderedBy: linked[i] }),
    })),
    symbols: object.symbols.slice(1).map((symbol) => ({
      name: symbol.name,
      value: symbol.value,
      size: symbol.size,
      binding: symbol.binding,
      type: symbol.type,
      visibility: symbol.visibility,
      place: place(symbol),
    })),
  };
}
