/**
 * Reads a relocatable object: ELF64, little-endian, x86-64, ET_REL with RELA relocations.
 *
 * Nothing in the file is believed before it has been checked against the file's size: every error is a
 * FormatError that names file, offset, found and expected, and a file that is cut off or scrambled
 * anywhere ends in one. Counts need no limit of their own, since each header, symbol and relocation
 * occupies bytes of the file; the one way to get more out of the file than it has bytes is to let
 * many relocation sections share the same bytes, and that is refused.
 *
 * Section contents are views into the file. Relocations are attached to the section they change, while
 * their SHT_RELA section, the string tables and section groups stay in the list as plain sections, so
 * that section numbers are the file's. Objects with 0xff00 sections or more store these numbers
 * elsewhere (gABI, "extended section indices"): the section count in the size of section 0, the index
 * of the names in its link, and the section of a symbol in a parallel SHT_SYMTAB_SHNDX table.
 */
import { Cursor } from './cursor.ts';
import { sectionIndex } from './indices.ts';
import type { ObjectFile, Section } from './model.ts';
import { readRelocations } from './read-relocations.ts';
import { readSymbols } from './read-symbols.ts';
import { contentsOf } from './section-header.ts';
import { readSectionHeaders } from './section-headers.ts';
import { stringReader } from './string-table.ts';

/**
 * Reads `bytes` as a relocatable object; `path` is the name for messages.
 * Throws FormatError `malformed_object`, and nothing else, whatever the bytes are.
 */
export function readObject(bytes: Uint8Array, path: string): ObjectFile {
  const cursor = new Cursor(bytes, path);
  const headers = readSectionHeaders(cursor);
  const symbols = readSymbols(cursor, headers.list);
  const relocations = readRelocations(cursor, headers.list, symbols.length);
  const name = stringReader(cursor, headers.names.offset, headers.names.size);
  const sections = headers.list.map(
    (header, index): Section => ({
      index: sectionIndex(index),
      name: index === 0 ? '' : name(header.nameOffset, header.at, () => `section ${index}`),
      type: header.type,
      flags: header.flags,
      size: header.size,
      alignment: header.alignment,
      entrySize: header.entrySize,
      link: header.link,
      info: header.info,
      data: contentsOf(cursor, header, index),
      relocations: relocations.get(index) ?? [],
    }),
  );
  return { path, sections, symbols };
}
