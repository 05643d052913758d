/**
 * The headers of a relocatable object: of the file, and of its sections. Everything in them is checked
 * against the file's size before it is believed (read-object.ts says how).
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
import type { Cursor } from './cursor.ts';
import { contentsOf, readHeader, type SectionHeader } from './section-header.ts';

/** Where the section headers are, and which of them holds the sections' names. */
interface HeaderTable {
  readonly offset: number;
  readonly count: number;
  readonly names: number;
}

export interface SectionHeaders {
  /** Entry i has index i. */
  readonly list: readonly SectionHeader[];
  /** The string table with the sections' names. */
  readonly names: SectionHeader;
}

/** The section headers of a relocatable object. Throws FormatError `malformed_object`. */
export function readSectionHeaders(cursor: Cursor): SectionHeaders {
  return readHeaders(cursor, readFileHeader(cursor));
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

function readHeaders(cursor: Cursor, table: HeaderTable): SectionHeaders {
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
