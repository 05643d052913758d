/**
 * Global names of a patch that the kernel's own link would decide about: a unit is compiled alone, and whether another one
 * has a function of the same name is not seen in it.
 *
 * A strong definition takes the place of a weak one (`__weak`) when vmlinux is linked. So a weak function of a unit may not be
 * in the kernel at all, and changing it has no effect; and a new function may be meant to override one that is there, which
 * unchanged code goes on calling. Asked are the kernel's symbols, where a weak definition that is used is `W` (or `V`).
 */
import { STB_WEAK } from '../elf/constants.ts';
import type { Comparison } from './compare-items.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { ItemPart, UnitChange } from './unit-change.ts';

/** nm's letters for the symbols of a name in vmlinux. */
export type SymbolTypes = (name: string) => readonly string[];

const isWeak = (type: string): boolean => /^[WwVv]$/.test(type);
const isStrong = (type: string): boolean => /^[A-TX-Z]$/.test(type);

/** Weak functions that the patch changes; by their names in pre. */
function weakReplaced({ pre }: Comparison, { replaced }: UnitChange): readonly string[] {
  const { symbols } = pre.unit.object;
  return replaced.flatMap(({ pre: part }) => (symbols[part.symbol]?.binding === STB_WEAK ? [part.name] : []));
}

/** Strong functions and objects that the patch brings, and other units can see. */
function strongNew({ post }: Comparison, { newFunctions, newData }: UnitChange): readonly ItemPart[] {
  const { symbols } = post.unit.object;
  return [...newFunctions.map((each) => each.post), ...newData].filter(
    ({ scope, symbol }) => scope === 'global' && symbols[symbol]?.binding !== STB_WEAK,
  );
}

/** Whether there is anything about this change that the kernel's symbols have to be asked. */
export function hasLinkedNames(comparison: Comparison, change: UnitChange): boolean {
  return weakReplaced(comparison, change).length + strongNew(comparison, change).length > 0;
}

/** The change without what is not in the kernel, and with what speaks against the rest. */
export function checkLinkedNames(comparison: Comparison, change: UnitChange, types: SymbolTypes): UnitChange {
  const { path } = comparison.post.unit.object;
  const absent = new Set(
    weakReplaced(comparison, change).filter((name) => {
      const found = types(name);
      return found.some(isStrong) && !found.some(isWeak);
    }),
  );
  const diagnostics: Diagnostic[] = change.replaced
    .filter(({ name }) => absent.has(name))
    .map(({ name, pre, why }) => ({
      code: 'overridden_code_changed',
      severity: 'warning',
      message: `${path}: ${name}: changed function is weak, and another one of this name is in the kernel in its place (${why[0] ?? ''}): no effect`,
      location: { unit: path, section: pre.sectionName, symbol: name },
      hint: `change the ${name}() that this configuration has, if it needs the change`,
    }));
  for (const { name, sectionName } of strongNew(comparison, change)) {
    const found = types(name);
    const location = { unit: path, section: sectionName, symbol: name };
    if (found.some(isWeak)) {
      diagnostics.push({
        code: 'name_taken',
        severity: 'error',
        message: `${path}: ${name}: the patch overrides the weak definition that the kernel has: who is not changed goes on using that one`,
        location,
        hint: `change ${name} where it is defined as weak: in the running kernel it is the one that is used`,
      });
    } else if (found.some(isStrong)) {
      diagnostics.push({
        code: 'name_taken',
        severity: 'error',
        message: `${path}: ${name}: the patch brings a global definition, and the kernel has one of this name in another file: they could not be linked`,
        location,
        hint: 'give it another name, or make it static',
      });
    }
  }
  return {
    ...change,
    replaced: change.replaced.filter(({ name }) => !absent.has(name)),
    diagnostics: [...change.diagnostics, ...diagnostics],
  };
}
