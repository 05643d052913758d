import { hex } from '../diagnostics/hex.ts';
import {
  SHN_ABS,
  SHN_COMMON,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  SYM_SIZE,
} from './constants.ts';
import type { Cursor } from './cursor.ts';
import { sectionIndex, symbolIndex } from './indices.ts';
import type { ElfSymbol, SymbolPlace } from './model.ts';
import { contentsOf, entryCount, type SectionHeader } from './section-header.ts';
import { stringReader } from './string-table.ts';

/** Symbol 0; the whole list in an object without a symbol table. */
const nullSymbol: ElfSymbol = {
  index: symbolIndex(0),
  name: '',
  value: 0n,
  size: 0,
  binding: 0,
  type: 0,
  visibility: 0,
  place: 'undefined',
};

/** Reads `.symtab`: entry i has index i. Throws FormatError. */
export function readSymbols(cursor: Cursor, headers: readonly SectionHeader[]): readonly ElfSymbol[] {
  const tables = headers.filter((header) => header.type === SHT_SYMTAB);
  const [table, second] = tables;
  if (table === undefined) return [nullSymbol];
  if (second !== undefined) cursor.fail('found a second symbol table, expected one', second.at);
  const tableIndex = headers.indexOf(table);
  const count = entryCount(cursor, table, SYM_SIZE, `symbol table (section ${tableIndex})`);

  const strings = headers[table.link];
  if (strings === undefined || strings.type !== SHT_STRTAB) {
    cursor.fail(`the symbol table links to section ${table.link}, expected a string table`, table.at);
  }
  const name = stringReader(cursor, strings.offset, strings.size);
  const extended = extendedIndices(cursor, headers, tableIndex, count);

  const symbols: ElfSymbol[] = [nullSymbol];
  for (let index = 1; index < count; index++) {
    const at = table.offset + index * SYM_SIZE;
    cursor.seek(at);
    const nameOffset = cursor.u32('st_name');
    const info = cursor.u8('st_info');
    const other = cursor.u8('st_other');
    const section = cursor.u16('st_shndx');
    const value = cursor.u64('st_value');
    const size = cursor.size('st_size');
    symbols.push({
      index: symbolIndex(index),
      name: name(nameOffset, at, () => `symbol ${index}`),
      value,
      size,
      binding: info >> 4,
      type: info & 0xf,
      visibility: other & 3,
      place: placeOf(cursor, headers.length, at, index, section, extended),
    });
  }
  return symbols;
}

/** Offset in the file of the table of 32-bit section indices beside the symbol table, if there is one. */
function extendedIndices(
  cursor: Cursor,
  headers: readonly SectionHeader[],
  tableIndex: number,
  symbols: number,
): number | undefined {
  const index = headers.findIndex((header) => header.type === SHT_SYMTAB_SHNDX && header.link === tableIndex);
  const header = headers[index];
  if (header === undefined) return undefined;
  contentsOf(cursor, header, index);
  const count = entryCount(cursor, header, 4, `extended index table (section ${index})`);
  if (count !== symbols) {
    cursor.fail(`the extended index table has ${count} entries, the symbol table ${symbols}`, header.at);
  }
  return header.offset;
}

function placeOf(
  cursor: Cursor,
  sections: number,
  at: number,
  index: number,
  section: number,
  extended: number | undefined,
): SymbolPlace {
  let number = section;
  if (section === SHN_XINDEX) {
    if (extended === undefined) {
      cursor.fail(`symbol ${index} has an extended section index, file has no table of them`, at);
    }
    cursor.seek(extended + 4 * index);
    number = cursor.u32('extended section index');
  } else if (section === SHN_UNDEF) return 'undefined';
  else if (section === SHN_ABS) return 'absolute';
  else if (section === SHN_COMMON) return 'common';
  else if (section >= SHN_LORESERVE) {
    cursor.fail(`symbol ${index} is in the reserved section ${hex(section)}, expected a section`, at);
  }
  if (number === 0 || number >= sections) {
    cursor.fail(`symbol ${index} is in section ${number}, file has ${sections} sections`, at);
  }
  return sectionIndex(number);
}
