import type { ObjectFile } from '../../elf/model.ts';

/** `___ksymtab+NAME`, or `___ksymtab_gpl+NAME` for GPL modules only. */
export const exportSection = /^___ksymtab(_gpl)?\+(.+)$/;

/** Names of what a unit exports. */
export function exportedNames(object: ObjectFile): ReadonlySet<string> {
  return new Set(
    object.sections.flatMap(({ name, size }) => (size === 0 ? [] : (exportSection.exec(name)?.[2] ?? []))),
  );
}
