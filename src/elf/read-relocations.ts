import { hex } from '../diagnostics/hex.ts';
import {
  isKnownRelocation,
  RELA_SIZE,
  relocationFieldSize,
  relocationName,
  SHT_NOBITS,
  SHT_NULL,
  SHT_RELA,
  SHT_SYMTAB,
} from './constants.ts';
import type { Cursor } from './cursor.ts';
import { symbolIndex } from './indices.ts';
import type { Relocation } from './model.ts';
import { contentsOf, entryCount, type SectionHeader } from './section-header.ts';

/**
 * Reads every SHT_RELA section: relocations by the index of the section they change, sorted by offset
 * (those at one offset in the file's order). Throws FormatError.
 */
export function readRelocations(
  cursor: Cursor,
  headers: readonly SectionHeader[],
  symbols: number,
): ReadonlyMap<number, readonly Relocation[]> {
  const bySection = new Map<number, Relocation[]>();
  let total = 0;
  headers.forEach((header, index) => {
    if (header.type !== SHT_RELA) return;
    contentsOf(cursor, header, index);
    total += header.size;
    if (total > cursor.bytes.length) {
      cursor.fail(
        `relocation sections up to ${index} have ${hex(total)} bytes in all, more than the file`,
        header.at,
      );
    }
    const target = targetOf(cursor, headers, header, index);
    const list = bySection.get(header.info) ?? [];
    readSection(cursor, header, index, target, symbols, list);
    bySection.set(header.info, list);
  });
  for (const list of bySection.values()) list.sort((a, b) => a.offset - b.offset);
  return bySection;
}

function targetOf(
  cursor: Cursor,
  headers: readonly SectionHeader[],
  header: SectionHeader,
  index: number,
): SectionHeader {
  if (headers[header.link]?.type !== SHT_SYMTAB) {
    cursor.fail(
      `relocations of section ${index} use symbols of section ${header.link}, not a symbol table`,
      header.at,
    );
  }
  const target = headers[header.info];
  if (header.info === 0 || target === undefined) {
    cursor.fail(
      `relocations of section ${index} change section ${header.info}, file has ${headers.length} sections`,
      header.at,
    );
  }
  if (target.type === SHT_NOBITS || target.type === SHT_NULL) {
    cursor.fail(
      `relocations of section ${index} change section ${header.info}, which has no bytes`,
      header.at,
    );
  }
  return target;
}

function readSection(
  cursor: Cursor,
  header: SectionHeader,
  section: number,
  target: SectionHeader,
  symbols: number,
  list: Relocation[],
): void {
  const count = entryCount(cursor, header, RELA_SIZE, `relocation section ${section}`);
  cursor.seek(header.offset);
  for (let i = 0; i < count; i++) {
    const at = cursor.position;
    const offset = cursor.size('r_offset');
    const type = cursor.u32('r_info');
    const symbol = cursor.u32('r_info');
    const addend = cursor.signed('r_addend');
    if (!isKnownRelocation(type)) {
      cursor.fail(`relocation ${i} of section ${section} has unknown type ${type}`, at);
    }
    if (symbol >= symbols) {
      cursor.fail(
        `relocation ${i} of section ${section} uses symbol ${symbol}, file has ${symbols} symbols`,
        at,
      );
    }
    if (offset + relocationFieldSize(type) > target.size) {
      cursor.fail(
        `relocation ${i} of section ${section}, ${relocationName(type)} at ${hex(offset)}, ` +
          `ends after section ${header.info}, which has ${hex(target.size)} bytes`,
        at,
      );
    }
    list.push({ offset, type, symbol: symbolIndex(symbol), addend });
  }
}
