import { STB_LOCAL, STT_FUNC, STT_NOTYPE, STT_OBJECT } from '../elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section, SectionIndex } from '../elf/model.ts';
import type { SectionClass } from '../kernel/tables/classify-section.ts';
import { staticCallText } from '../kernel/tables/static-calls.ts';
import { baseName } from './base-name.ts';
import type { UnitItem } from './unit.ts';

const textClasses: ReadonlySet<SectionClass> = new Set(['text', 'restricted-text', 'init-text', 'exit-text']);
const dataClasses: ReadonlySet<SectionClass> = new Set(['rodata', 'data', 'bss', 'percpu', 'init-data']);

export function isTextClass(sectionClass: SectionClass): boolean {
  return textClasses.has(sectionClass);
}

function kindOf(
  symbol: ElfSymbol,
  section: Section,
  sectionClass: SectionClass,
): UnitItem['kind'] | undefined {
  if (textClasses.has(sectionClass)) return symbol.type === STT_FUNC ? 'function' : undefined;
  if (dataClasses.has(sectionClass)) return symbol.type === STT_OBJECT ? 'object' : undefined;
  // A static call's trampoline, a list of BTF numbers: nothing to replace, but code names them.
  if (section.name === staticCallText.section && symbol.type === STT_FUNC) return 'object';
  const isList = symbol.type === STT_NOTYPE || symbol.type === STT_OBJECT;
  if (section.name === '.BTF_ids' && isList && !symbol.name.startsWith('__BTF_ID__')) return 'object';
  return undefined;
}

function rank(symbol: ElfSymbol): number {
  return symbol.binding === STB_LOCAL ? 1 : 0;
}

/** Symbols of one place and size are one item; a global name comes first. */
function grouped(symbols: readonly ElfSymbol[]): ElfSymbol[][] {
  const groups = new Map<string, ElfSymbol[]>();
  for (const symbol of symbols) {
    const key = `${symbol.value}`;
    groups.set(key, [...(groups.get(key) ?? []), symbol]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => rank(a) - rank(b) || a.index - b.index));
}

/**
 * Functions and objects of an object file, by section.
 * @param classes class of each section, by section index
 */
export function readItems(
  object: ObjectFile,
  classes: readonly SectionClass[],
): ReadonlyMap<SectionIndex, readonly UnitItem[]> {
  const bySection = new Map<SectionIndex, ElfSymbol[]>();
  for (const symbol of object.symbols) {
    if (typeof symbol.place !== 'number') continue;
    const section = object.sections[symbol.place];
    const sectionClass = classes[symbol.place];
    if (section === undefined || sectionClass === undefined) continue;
    if (kindOf(symbol, section, sectionClass) === undefined) continue;
    bySection.set(section.index, [...(bySection.get(section.index) ?? []), symbol]);
  }

  const items = new Map<SectionIndex, readonly UnitItem[]>();
  for (const [index, symbols] of bySection) {
    const section = object.sections[index];
    const sectionClass = classes[index];
    if (section === undefined || sectionClass === undefined) continue;
    const groups = grouped(symbols);
    const found: UnitItem[] = [];
    for (const group of groups) {
      const [first, ...others] = group;
      const kind = first === undefined ? undefined : kindOf(first, section, sectionClass);
      if (first === undefined || kind === undefined) continue;
      const entry = Number(first.value);
      const size = Math.max(...group.map((each) => each.size));
      const alone = groups.length === 1;
      found.push({
        kind,
        name: first.name,
        aliases: others.map((each) => each.name),
        base: baseName(first.name),
        scope: first.binding === STB_LOCAL ? 'unit' : 'global',
        symbol: first.index,
        section,
        sectionClass,
        start: alone ? 0 : entry,
        end: alone ? section.size : Math.min(entry + size, section.size),
        entry,
        size,
      });
    }
    items.set(
      index,
      found.sort((a, b) => a.start - b.start || a.end - b.end),
    );
  }
  return items;
}
