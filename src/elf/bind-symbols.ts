/**
 * Gives the undefined symbols of an object their addresses, in place.
 *
 * An object that was linked as far as it can be without knowing where it will be used needs nothing else,
 * and nothing else of it has to be read: a symbol becomes absolute, with its value, and loses its name.
 */
import { SHN_ABS, SHT_SYMTAB, SYM_SIZE } from './constants.ts';
import { Cursor } from './cursor.ts';
import type { ElfSymbol } from './model.ts';
import { readSymbols } from './read-symbols.ts';
import { readSectionHeaders, type SectionHeaders } from './section-headers.ts';
import { stringReader } from './string-table.ts';

function isNamedUndefined(symbol: ElfSymbol): boolean {
  return symbol.place === 'undefined' && symbol.name !== '';
}

/** Names of the undefined symbols. Throws FormatError. */
export function undefinedNames(bytes: Uint8Array, path: string): readonly string[] {
  const cursor = new Cursor(bytes, path);
  return readSymbols(cursor, readSectionHeaders(cursor).list)
    .filter(isNamedUndefined)
    .map(({ name }) => name);
}

export interface BoundObject {
  /** A copy of the object without undefined symbols. */
  readonly bytes: Uint8Array;
  /** Where a symbol that the object defines is: its section's name, and the offset in it. */
  readonly placeOf: (name: string) => { readonly section: string; readonly offset: bigint } | undefined;
}

/**
 * @param addressOf an address for each undefined name, any 64 bits; throws if it has none
 * @throws FormatError if the bytes are no relocatable object
 */
export function bindSymbols(
  bytes: Uint8Array,
  path: string,
  addressOf: (name: string) => bigint,
): BoundObject {
  const cursor = new Cursor(bytes, path);
  const headers = readSectionHeaders(cursor);
  const symbols = readSymbols(cursor, headers.list);
  const table = headers.list.find(({ type }) => type === SHT_SYMTAB);
  const bound = Uint8Array.from(bytes);
  const view = new DataView(bound.buffer);
  for (const symbol of symbols.filter(isNamedUndefined)) {
    const at = (table?.offset ?? 0) + symbol.index * SYM_SIZE;
    view.setUint32(at, 0, true); // st_name
    view.setUint16(at + 6, SHN_ABS, true); // st_shndx, SHN_UNDEF before
    view.setBigUint64(at + 8, addressOf(symbol.name), true); // st_value
  }
  return {
    bytes: bound,
    placeOf: (name) => {
      const symbol = symbols.find((each) => each.name === name && typeof each.place === 'number');
      if (typeof symbol?.place !== 'number') return undefined;
      return { section: sectionName(cursor, headers, symbol.place), offset: symbol.value };
    },
  };
}

function sectionName(cursor: Cursor, headers: SectionHeaders, index: number): string {
  const header = headers.list[index];
  if (header === undefined) return '';
  const name = stringReader(cursor, headers.names.offset, headers.names.size);
  return name(header.nameOffset, header.at, () => `section ${index}`);
}
