/**
 * Which sections of a unit are compared with the kernel's code, and in which order.
 */
import { SHF_ALLOC, SHF_EXECINSTR, STB_LOCAL, STT_FUNC } from '../elf/constants.ts';
import type { ObjectFile, Section } from '../elf/model.ts';
import { importedEntryNames } from '../kernel/module-exports.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { STATIC_CALL_TRAMPOLINE, staticCallKeyName } from '../kernel/tables/static-calls.ts';
import { functionsOf } from './anchor.ts';
import { exportNames } from './compare-data.ts';
import { isFileScopeObject } from './learned-values.ts';
import { liveNames } from './live-values.ts';
import { tableNames } from './table-bounds.ts';

/** A module keeps its exit code, as long as it can be unloaded. */
function isGone(name: string, target: string): boolean {
  const gone = target === VMLINUX ? /^\.(init|exit)\b/ : /^\.init\b/;
  return gone.test(name) || name.startsWith('.altinstr') || name === '.static_call.text';
}

/** Sections of an object whose code is compared with memory. */
export function matchedSections(object: ObjectFile, target: string): readonly Section[] {
  return object.sections.filter(
    (section) =>
      (section.flags & SHF_EXECINSTR) !== 0 &&
      (section.flags & SHF_ALLOC) !== 0 &&
      section.size > 0 &&
      !isGone(section.name, target),
  );
}

/** Those with functions that kallsyms names come first: they tell where the others are. */
export function inMatchingOrder(object: ObjectFile, target: string): readonly Section[] {
  return matchedSections(object, target).toSorted(
    (a, b) => functionsOf(object, b).length - functionsOf(object, a).length,
  );
}

/**
 * All names that matching this unit will look up, so that kallsyms is scanned once for many units. Static
 * objects of functions are not among them: they are found by where they lie.
 */
export function namesToLookUp(object: ObjectFile, target: string): readonly string[] {
  const asked = object.symbols.filter(
    (symbol) =>
      symbol.name !== '' &&
      (symbol.type === STT_FUNC || symbol.binding !== STB_LOCAL || isFileScopeObject(symbol)),
  );
  const names = asked.map(({ name }) => name);
  const keys = names.filter((name) => name.startsWith(STATIC_CALL_TRAMPOLINE)).map(staticCallKeyName);
  const imports = target === VMLINUX ? [] : importedEntryNames(object);
  return [...liveNames, ...tableNames, ...exportNames(object), ...names, ...keys, ...imports];
}
