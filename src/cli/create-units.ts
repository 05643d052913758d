/**
 * create, its middle: from what was built to the units of an update. Each is differenced; what speaks against an update is
 * told for all of them; then the replacement code is made, and what it replaces is found.
 */

import type { BuiltUnit, BuiltUnits } from '../build/build-units.ts';
import { readExportCrcs } from '../build/module-symvers.ts';
import type { PreparedTree } from '../build/tree.ts';
import { InternalError, NoChangeError, RefusedError } from '../diagnostics/error.ts';
import { withNotes } from '../diagnostics/with-notes.ts';
import type { CodeBelow as CodeOfBelow, Owned } from '../diff/code-below.ts';
import { escapesBetweenUnits } from '../diff/escapes-between-units.ts';
import { moduleReferences, type UnitOfTarget } from '../diff/module-references.ts';
import { patchDiagnostics } from '../diff/patch-diagnostics.ts';
import type { Replacement } from '../diff/replacement.ts';
import { hasNoEffect } from '../diff/unit-change.ts';
import { readObject } from '../elf/read-object.ts';
import { writeObject } from '../elf/write-object.ts';
import type { MatchMode } from '../match/match-unit.ts';
import type { UpdateChanges } from '../update/changes.ts';
import { type LivepatchReason, trampolineSites } from '../update/trampoline-site.ts';
import type { CodeBelow, Update, UpdateUnit } from '../update/update.ts';
import { type Decoder, loadDecoder } from '../x86/decoder.ts';
import { describeChanges } from './create-changes.ts';
import { replacementsOf, unitBelow } from './create-on.ts';
import { comparerFor, type DiffedUnit, diffBuilt } from './diff-built.ts';
import type { KernelParts } from './kernel-parts.ts';
import { refuseDiagnostics } from './refuse-diagnostics.ts';

/** What the units are made for. */
export interface UnitsOf {
  /** The updates that it shall be on top of, from the lowest up. */
  readonly below: readonly Update[];
  readonly kernel: KernelParts;
  readonly tree: PreparedTree;
}

export interface CompareOptions {
  /** How the units will be matched; strict unless told. */
  readonly match?: MatchMode | undefined;
  readonly onProgress: (step: string) => void;
}

export interface UnitsToUpdate {
  readonly units: readonly UpdateUnit[];
  readonly changes: UpdateChanges;
  readonly notes: readonly string[];
}

/** Differences every unit, collects what speaks against an update, and extracts the replacement code. */
export async function compareUnits(
  built: BuiltUnits,
  { below, kernel, tree }: UnitsOf,
  options: CompareOptions,
): Promise<UnitsToUpdate> {
  options.onProgress('comparing');
  const compare = comparerFor(tree.config, kernel.image);
  const compared: DiffedUnit[] = [];
  for (const unit of built.units) compared.push(await diffBuilt(unit, compare));
  // What speaks against a type of a header is the same for all units that include it.
  const all = patchDiagnostics(
    compared.map(({ unit, change }) => ({ path: unit.path, target: unit.target, change })),
  );
  const diagnostics = all.filter(
    ({ message }, index) => all.findIndex((other) => other.message === message) === index,
  );
  refuseDiagnostics(diagnostics.filter(({ severity }) => severity === 'error'));
  const notes = [...built.notes, ...diagnostics.map(({ severity, message }) => `${severity}: ${message}`)];
  if (compared.every(({ change }) => hasNoEffect(change))) {
    throw new NoChangeError('no_change', withNotes('the patch changes no code of this kernel', notes), {
      hint: 'comments, code that this configuration leaves out, or new functions that nobody calls?',
      details: { units: built.units.map((unit) => unit.path), notes },
    });
  }
  const changed = compared.flatMap((one) => {
    if (one.replacement instanceof RefusedError) throw one.replacement;
    return one.replacement === undefined ? [] : [{ one, replacement: one.replacement }];
  });
  refuseDiagnostics(
    await moduleReferences(compared.map(unitOfTarget), async () => {
      const exported = await readExportCrcs(kernel.headers);
      return (name) => exported.has(name);
    }),
  );
  const decoder = await loadDecoder();
  const escapes = escapesBetweenUnits(changed.map(({ replacement }) => replacement));
  const made: UpdateUnit[] = [];
  for (const [i, { one, replacement }] of changed.entries()) {
    const code = await unitBelow(one.unit, below, compare);
    const whole = { ...replacement, escapes: escapes[i] ?? replacement.escapes };
    made.push(updateUnit(one.unit, { below, code }, whole, decoder, options.match));
  }
  return {
    units: made,
    changes: describeChanges(
      built,
      compared,
      changed.map(({ one }) => one),
      diagnostics,
    ),
    notes: [...notes, ...made.flatMap(livepatchNotes)],
  };
}

function unitOfTarget({ unit, pre, post, replacement }: DiffedUnit): UnitOfTarget {
  const { path, target } = unit;
  return {
    path,
    target,
    pre,
    post,
    replacement: replacement instanceof RefusedError ? undefined : replacement,
  };
}

const livepatchReasons: Readonly<Record<LivepatchReason, string>> = {
  'jump-label': 'a jump-label lies where the jump would go',
  'static-call': 'a static-call lies where the jump would go',
  'no-room': 'it is too short for the jump behind its ftrace entry',
};

/** Functions that the jump engine will refuse; the update is made all the same. */
function livepatchNotes({ path: unit, functions }: UpdateUnit): readonly string[] {
  return functions.flatMap(({ preName, needsLivepatch }) =>
    needsLivepatch === null
      ? []
      : [
          `${unit}: ${preName} needs livepatch: ${livepatchReasons[needsLivepatch]}, so it takes apply --engine livepatch`,
        ],
  );
}

/** Functions that are replaced, with what the core and the linker need to know of the old ones. */
function replacedFunctions(
  unit: BuiltUnit,
  matched: Uint8Array,
  on: readonly CodeBelow[],
  replaced: readonly (Owned & { readonly replacement: string })[],
  decoder: Decoder,
): UpdateUnit['functions'] {
  return replaced.map(({ owner, name, replacement }) => {
    const object = owner === undefined ? matched : on.find(({ id }) => id === owner)?.replacement;
    if (object === undefined) throw new InternalError('unexpected', `${unit.path}: no code of ${owner}`);
    const [site] = trampolineSites(readObject(object, unit.path), [name], decoder);
    const { offset = 0, size = 0, needsLivepatch = null } = site ?? {};
    return {
      name: replacement,
      preName: name,
      ...(owner === undefined ? {} : { owner }),
      site: { offset, size },
      needsLivepatch,
    };
  });
}

function updateUnit(
  unit: BuiltUnit,
  { below, code }: { readonly below: readonly Update[]; readonly code: CodeOfBelow | undefined },
  replacement: Replacement,
  decoder: Decoder,
  match: MatchMode = 'strict',
): UpdateUnit {
  const matched = match === 'strict' ? unit.prePlain : (unit.levels[0] ?? unit.pre);
  const whole = replacement.functions.filter(({ coldOf }) => coldOf === undefined);
  const replaced = whole.flatMap(({ name, preName }) =>
    preName === undefined
      ? []
      : [{ ...(code?.codeOf(preName) ?? { owner: undefined, name: preName }), replacement: name }],
  );
  const references = replacement.references.map(({ symbol, scope, kind, weak, pre }) => {
    const { owner, name } =
      pre === undefined || code === undefined
        ? { owner: undefined, name: pre?.name ?? symbol }
        : code.meaningOf(pre);
    return {
      symbol,
      scope,
      preName: name,
      ...(owner === undefined ? {} : { owner }),
      kind,
      weak,
      pre: pre === undefined ? null : { section: pre.sectionName, offset: pre.offset, size: pre.size },
    };
  });
  const owners = new Set([...replaced, ...references].flatMap(({ owner }) => owner ?? []));
  const on = replacementsOf(unit, below, owners);
  return {
    path: unit.path,
    source: unit.source,
    target: unit.target,
    pre: matched,
    replacement: writeObject(replacement.object),
    on,
    functions: replacedFunctions(unit, matched, on, replaced, decoder),
    hooks: replacement.hooks,
    newFunctions: whole.filter(({ preName }) => preName === undefined).map((one) => one.name),
    references,
    escapes: { escapes: replacement.escapes.escapes, reasons: [...replacement.escapes.reasons] },
  };
}
