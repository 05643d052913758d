/** The objects of an update, and the symbols that they need. */
import { undefinedNames } from '../elf/bind-symbols.ts';
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { importedEntryNames } from '../kernel/module-exports.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import type { MatchMode } from '../match/match-unit.ts';
import { namesToLookUp } from '../match/text-sections.ts';
import type { Update } from '../update/update.ts';
import { namesToLink } from './link-update.ts';

export interface UpdateObjects {
  /** How the pre objects are matched. */
  readonly matching: MatchMode;
  readonly units: readonly {
    readonly path: string;
    /** `vmlinux`, or the module that the unit is part of. */
    readonly target: string;
    readonly pre: ObjectFile;
    readonly replacement: ObjectFile;
  }[];
  /** Names that the linked core refers to. */
  readonly coreNames: readonly string[];
  readonly stub: ObjectFile;
}

/** Reads all objects, once. Throws FormatError. */
export function readObjects(update: Update): UpdateObjects {
  return {
    matching: update.matching,
    units: update.units.map(({ path, target, pre, replacement }) => ({
      path,
      target,
      pre: readObject(pre, path),
      replacement: readObject(replacement, `${path} (replacement)`),
    })),
    coreNames: undefinedNames(update.core, 'core.ko'),
    stub: readObject(update.stub, 'stub.o'),
  };
}

/** Every name that matching and linking the update will look up, so that kallsyms is scanned once. */
export function namesOf(objects: UpdateObjects): readonly string[] {
  const replacements = objects.units.map((unit) => unit.replacement);
  const matched = objects.units.flatMap(({ pre, target }) => namesToLookUp(pre, target));
  // A patch may call what its module did not use before, and another module exports.
  const imported = objects.units.flatMap(({ replacement, target }) =>
    target === VMLINUX ? [] : importedEntryNames(replacement),
  );
  return [...matched, ...imported, ...namesToLink(replacements, objects.stub), ...objects.coreNames];
}
