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
import { hex } from '../diagnostics/hex.ts';
import {
  EHDR_SIZE,
  EI_CLASS,
  EI_DATA,
  EI_VERSION,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_X86_64,
  ET_REL,
  EV_CURRENT,
  SHDR_SIZE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_NULL,
  SHT_REL,
  SHT_STRTAB,
  SHT_SYMTAB,
} from './constants.ts';
import { Cursor } from './cursor.ts';
import { sectionIndex } from './indices.ts';
import type { ObjectFile, Section } from './model.ts';
import { readRelocations } from './read-relocations.ts';
import { readSymbols } from './read-symbols.ts';
import { contentsOf, readHeader, type SectionHeader } from './section-header.ts';
import { stringReader } from './string-table.ts';

/** Where the section headers are, and which of them holds the sections' names. */
interface HeaderTable {
  readonly offset: number;
  readonly count: number;
  readonly names: number;
}

/**
 * Reads `bytes` as a relocatable object; `path` is the name for messages.
 * Throws FormatError `malformed_object`, and nothing else, whatever the bytes are.
 */
export function readObject(bytes: Uint8Array, path: string): ObjectFile {
  const cursor = new Cursor(bytes, path);
  const headers = readHeaders(cursor, readFileHeader(cursor));
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

function readFileHeader(cursor: Cursor): HeaderTable {
  const { bytes } = cursor;
  if (bytes.length < EHDR_SIZE) {
    cursor.fail(`the file header ends at ${hex(EHDR_SIZE)}, file has ${hex(bytes.length)} bytes`, 0);
  }
  const magic = [0x7f, 0x45, 0x4c, 0x46];
  if (magic.some((byte, i) => bytes[i] !== byte)) cursor.fail('not an ELF file: expected 7f 45 4c 46', 0);
  expectField(cursor, bytes[EI_CLASS], ELFCLASS64, 'ELF class', EI_CLASS);
  expectField(cursor, bytes[EI_DATA], ELFDATA2LSB, 'byte order', EI_DATA);
  expectField(cursor, bytes[EI_VERSION], EV_CURRENT, 'ELF version', EI_VERSION);

  cursor.seek(16);
  expectField(cursor, cursor.u16('e_type'), ET_REL, 'file type', 16);
  expectField(cursor, cursor.u16('e_machine'), EM_X86_64, 'machine', 18);
  cursor.seek(40);
  const offset = cursor.size('e_shoff');
  cursor.seek(58);
  const entrySize = cursor.u16('e_shentsize');
  let count = cursor.u16('e_shnum');
  let names = cursor.u16('e_shstrndx');
  if (offset === 0) cursor.fail('the file has no section header table', 40);
  expectField(cursor, entrySize, SHDR_SIZE, 'size of a section header', 58);

  // Extended section indices: what does not fit is in header 0.
  if (count === 0 || names === SHN_XINDEX) {
    const first = readHeader(cursor, offset);
    if (count === 0) count = first.size;
    if (names === SHN_XINDEX) names = first.link;
  }
  if (count === 0) cursor.fail('the section header table is empty', 60);
  const size = count * SHDR_SIZE;
  if (!Number.isSafeInteger(size)) cursor.fail(`found ${hex(count)} section headers`, 60);
  cursor.seek(40);
  cursor.view(offset, size, 'section header table');
  if (names === SHN_UNDEF || names >= count) {
    cursor.fail(`section names are in section ${names}, file has ${count} sections`, 62);
  }
  return { offset, count, names };
}

function readHeaders(
  cursor: Cursor,
  table: HeaderTable,
): { readonly list: readonly SectionHeader[]; readonly names: SectionHeader } {
  const list = Array.from({ length: table.count }, (_, i) =>
    readHeader(cursor, table.offset + i * SHDR_SIZE),
  );
  const [first] = list;
  if (first === undefined || first.type !== SHT_NULL) {
    cursor.fail(`section 0 has type ${first?.type}, expected ${SHT_NULL}`, table.offset);
  }
  // Of section 0 only the overflowed counts mean anything: it has no bytes.
  const headers = list.map((header, i) => (i === 0 ? { ...header, size: 0, link: 0, info: 0 } : header));
  headers.forEach((header, index) => {
    checkHeader(cursor, header, index, table.count);
  });
  const names = headers[table.names];
  if (names === undefined || names.type !== SHT_STRTAB) {
    cursor.fail(`section ${table.names} holds the names, type ${names?.type}, expected SHT_STRTAB`, 62);
  }
  return { list: headers, names };
}

function checkHeader(cursor: Cursor, header: SectionHeader, index: number, count: number): void {
  const { at, alignment } = header;
  if (alignment !== 0 && !Number.isInteger(Math.log2(alignment))) {
    cursor.fail(`section ${index} has alignment ${hex(alignment)}, expected a power of two`, at);
  }
  if (header.link >= count) {
    cursor.fail(`section ${index} links to section ${header.link}, file has ${count} sections`, at);
  }
  if (header.type === SHT_REL) {
    cursor.fail(`section ${index} is SHT_REL, expected SHT_RELA as x86-64 demands`, at);
  }
  if (header.type === SHT_STRTAB || header.type === SHT_SYMTAB) contentsOf(cursor, header, index);
}

function expectField(
  cursor: Cursor,
  found: number | undefined,
  expected: number,
  what: string,
  at: number,
): void {
  if (found !== expected) cursor.fail(`${what} is ${found}, expected ${expected}`, at);
}
