/**
 * Where a text section of a unit may lie in the kernel.
 *
 * Each function symbol of the section gives candidates: kallsyms' addresses for its name, less its
 * offset. Names can be ambiguous; the places where all functions agree are few, nearly always one, and
 * comparing bytes decides. Weak functions are left out where there are others: a strong one elsewhere may
 * have the name, while the weak body lies here without a symbol.
 */
import { STB_WEAK, STT_FUNC } from '../elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { SymbolScope } from '../kernel/symbol-scope.ts';

export interface Anchors {
  /** Bases on which all functions agree. */
  readonly bases: readonly Address[];
  /** Where they do not agree: the candidates of the section's first function, for a useful report. */
  readonly fallback: readonly Address[];
  /** Whether there are functions to go by that nothing can override. */
  readonly hasFunctions: boolean;
  /** A function that the kernel does not have by name. */
  readonly missing: string | undefined;
}

/** Function symbols of a section, by offset. */
export function functionsOf(object: ObjectFile, section: Section): readonly ElfSymbol[] {
  return object.symbols
    .filter((symbol) => symbol.place === section.index && symbol.type === STT_FUNC && symbol.name !== '')
    .sort((a, b) => Number(a.value - b.value));
}

export function anchorsOf(object: ObjectFile, section: Section, scope: SymbolScope): Anchors {
  const all = functionsOf(object, section);
  const strong = all.filter((symbol) => symbol.binding !== STB_WEAK);
  const functions = strong.length > 0 ? strong : all;
  let bases: ReadonlySet<Address> | undefined;
  let fallback: readonly Address[] | undefined;
  let missing: string | undefined;
  for (const symbol of functions) {
    const candidates = scope.own(symbol.name).map((each) => addressAt(each.address, -symbol.value));
    if (candidates.length === 0) missing ??= symbol.name;
    else fallback ??= candidates;
    const before: ReadonlySet<Address> | undefined = bases;
    bases = new Set(before === undefined ? candidates : candidates.filter((each) => before.has(each)));
  }
  return { bases: [...(bases ?? [])], fallback: fallback ?? [], hasFunctions: strong.length > 0, missing };
}
