/**
 * Questions about the sections and symbols of one object, answered from maps that are made once.
 *
 * A name does not identify a symbol: one unit may have several local functions `show` (from macros or
 * from inlining into `.part` copies), and even several sections of one name. So lookups by name give lists.
 */
import { SHF_ALLOC, STT_FILE, STT_FUNC, STT_OBJECT, STT_SECTION } from './constants.ts';
import type { ElfSymbol, ObjectFile, Section, SectionIndex } from './model.ts';

/** What `indexObject` precomputes. */
export interface ObjectIndex {
  readonly object: ObjectFile;
  /** Defined STT_FUNC symbols by name, in symbol order. */
  readonly functions: ReadonlyMap<string, readonly ElfSymbol[]>;
  /** Every symbol that has a name, in symbol order. */
  readonly symbols: ReadonlyMap<string, readonly ElfSymbol[]>;
  /** Sections by name, in section order; the null section is left out. */
  readonly sections: ReadonlyMap<string, readonly Section[]>;
  /** The STT_SECTION symbol of a section. */
  readonly sectionSymbols: ReadonlyMap<SectionIndex, ElfSymbol>;
  /** Symbols in a section by offset, section symbols left out; at one offset in symbol order. */
  readonly bySection: ReadonlyMap<SectionIndex, readonly ElfSymbol[]>;
  /** For each entry of `bySection`, the furthest end of it and all before it. */
  readonly reach: ReadonlyMap<SectionIndex, readonly bigint[]>;
}

/** Makes the maps; linear in the object's size, but for the sorting. */
export function indexObject(object: ObjectFile): ObjectIndex {
  const functions = new Map<string, ElfSymbol[]>();
  const symbols = new Map<string, ElfSymbol[]>();
  const sections = new Map<string, Section[]>();
  const sectionSymbols = new Map<SectionIndex, ElfSymbol>();
  const bySection = new Map<SectionIndex, ElfSymbol[]>();
  for (const section of object.sections.slice(1)) append(sections, section.name, section);
  for (const symbol of object.symbols.slice(1)) {
    if (symbol.name !== '') append(symbols, symbol.name, symbol);
    if (typeof symbol.place !== 'number') continue;
    if (symbol.type === STT_SECTION) {
      sectionSymbols.set(symbol.place, symbol);
      continue;
    }
    if (symbol.type === STT_FUNC) append(functions, symbol.name, symbol);
    append(bySection, symbol.place, symbol);
  }
  for (const list of bySection.values()) list.sort((a, b) => compare(a.value, b.value));
  const reach = new Map(Array.from(bySection, ([section, list]) => [section, reachOf(list)]));
  return { object, functions, symbols, sections, sectionSymbols, bySection, reach };
}

/** The section that the symbol is in; undefined for an undefined, absolute or common symbol. */
export function sectionOf(object: ObjectFile, symbol: ElfSymbol): Section | undefined {
  return typeof symbol.place === 'number' ? object.sections[symbol.place] : undefined;
}

/** The first section of that name. */
export function sectionNamed(index: ObjectIndex, name: string): Section | undefined {
  return index.sections.get(name)?.[0];
}

/** Symbols in the section by offset, section symbols left out. */
export function symbolsInSection(index: ObjectIndex, section: SectionIndex): readonly ElfSymbol[] {
  return index.bySection.get(section) ?? [];
}

/**
 * The function, object or untyped symbol at the offset: of those whose range holds it the one that
 * starts last, among equals the one with a type, then the first in the symbol table. A symbol of size 0
 * (a label) holds its own offset, and only where nothing with a size does.
 */
export function symbolCovering(
  index: ObjectIndex,
  section: SectionIndex,
  offset: number,
): ElfSymbol | undefined {
  const place = BigInt(offset);
  const symbols = symbolsInSection(index, section);
  const reach = index.reach.get(section) ?? [];
  let found: ElfSymbol | undefined;
  for (let i = lastAtOrBefore(symbols, place); i >= 0; i--) {
    const symbol = symbols[i];
    if (symbol === undefined) break;
    // Nothing up to here reaches the offset.
    if (symbol.value !== place && (reach[i] ?? 0n) <= place) break;
    if (symbol.type === STT_FILE) continue;
    const holds = symbol.value === place || place < symbol.value + BigInt(symbol.size);
    if (holds && (found === undefined || isBetter(symbol, found))) found = symbol;
  }
  return found;
}

/**
 * The NUL-terminated string at the offset, a byte a character (so that different bytes stay different
 * strings); undefined if it has no end or the offset is outside.
 */
export function stringAt(section: Section, offset: number): string | undefined {
  const { data } = section;
  if (offset < 0 || offset >= data.length) return undefined;
  const end = data.indexOf(0, offset);
  if (end < 0) return undefined;
  return Buffer.from(data.buffer, data.byteOffset + offset, end - offset).toString('latin1');
}

/** Whether the section is part of the program, as opposed to debug information and tables for tools. */
export function isAllocated(section: Section): boolean {
  return (section.flags & SHF_ALLOC) !== 0;
}

/** Position of the last symbol that starts at the offset or before; -1 if there is none. */
function lastAtOrBefore(symbols: readonly ElfSymbol[], place: bigint): number {
  let low = 0;
  let high = symbols.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const symbol = symbols[middle];
    if (symbol !== undefined && symbol.value <= place) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Whether `symbol`, earlier in the sorted list than `found`, tells more about the place. */
function isBetter(symbol: ElfSymbol, found: ElfSymbol): boolean {
  if (symbol.size > 0 !== found.size > 0) return symbol.size > 0;
  if (symbol.value !== found.value) return symbol.value > found.value;
  const typed = isTyped(symbol);
  return typed === isTyped(found) ? symbol.index < found.index : typed;
}

function isTyped(symbol: ElfSymbol): boolean {
  return symbol.type === STT_FUNC || symbol.type === STT_OBJECT;
}

/** For each symbol of a sorted list, the furthest end of it and all before it. */
function reachOf(symbols: readonly ElfSymbol[]): readonly bigint[] {
  let furthest = 0n;
  return symbols.map(({ value, size }) => {
    const end = value + BigInt(size);
    if (end > furthest) furthest = end;
    return furthest;
  });
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function compare(a: bigint, b: bigint): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}
