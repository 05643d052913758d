/** The objects of an update, and the symbols that they need. */
import { undefinedNames } from '../elf/bind-symbols.ts';
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { importedEntryNames } from '../kernel/module-exports.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import type { MatchMode } from '../match/match-unit.ts';
import { namesToLookUp } from '../match/text-sections.ts';
import type { Update } from '../update/update.ts';
import { updateModule } from '../update/update-id.ts';
import { namesToLink } from './link-update.ts';

export interface ObjectsOfUnit {
  readonly path: string;
  /** `vmlinux`, or the module that the unit is part of. */
  readonly target: string;
  readonly pre: ObjectFile;
  readonly replacement: ObjectFile;
  /** Replacement objects of updates below, from the lowest up. */
  readonly on: readonly { readonly id: string; readonly replacement: ObjectFile }[];
}

export interface UpdateObjects {
  /** How the pre objects are matched. */
  readonly matching: MatchMode;
  readonly units: readonly ObjectsOfUnit[];
  /** IDs of the updates below, from the lowest up. */
  readonly on: readonly string[];
  /** Names that the linked core refers to. */
  readonly coreNames: readonly string[];
  readonly stub: ObjectFile;
  /** The stub for the kernel's livepatch, if the update has one. */
  readonly livepatch: ObjectFile | undefined;
}

/** Reads all objects, once. Throws FormatError. */
export function readObjects(update: Update): UpdateObjects {
  return {
    matching: update.matching,
    on: update.on.map(({ id }) => id),
    units: update.units.map(({ path, target, pre, replacement, on }) => ({
      path,
      target,
      pre: readObject(pre, path),
      replacement: readObject(replacement, `${path} (replacement)`),
      on: on.map(({ id, replacement: code }) => ({ id, replacement: readObject(code, `${path} of ${id}`) })),
    })),
    coreNames: undefinedNames(update.core, 'core.ko'),
    stub: readObject(update.stub, 'stub.o'),
    livepatch: update.livepatch === undefined ? undefined : readObject(update.livepatch, 'livepatch.o'),
  };
}

/** What they may be called in the modules of updates below. */
function namesBelow(names: readonly string[], on: readonly string[]): readonly string[] {
  return on.flatMap((id) => names.map((name) => `${name}.${updateModule(id)}`));
}

/** Every name that matching and linking the update will look up, so that kallsyms is scanned once. */
export function namesOf(objects: UpdateObjects): readonly string[] {
  const replacements = objects.units.map((unit) => unit.replacement);
  const below = objects.units.flatMap(({ on }) => on.map(({ id, replacement }) => ({ id, replacement })));
  // A patch may call what its module did not use before, and another module exports.
  const imported = objects.units.flatMap(({ replacement, target }) =>
    target === VMLINUX ? [] : importedEntryNames(replacement),
  );
  const stubs = [objects.stub, ...(objects.livepatch === undefined ? [] : [objects.livepatch])];
  const names = [
    ...objects.units.flatMap(({ pre, target }) => namesToLookUp(pre, target)),
    ...below.flatMap(({ id, replacement }) => namesToLookUp(replacement, updateModule(id))),
    ...namesToLink([...replacements, ...below.map(({ replacement }) => replacement)], stubs),
  ];
  return [...names, ...namesBelow(names, objects.on), ...imported, ...objects.coreNames];
}
