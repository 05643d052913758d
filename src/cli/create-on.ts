/**
 * Making an update on top of others (`--on`): what these are, and what they do to each unit.
 */
import type { BuiltUnit } from '../build/build-units.ts';
import type { Patch } from '../build/patch/model.ts';
import { parsePatch } from '../build/patch/parse-patch.ts';
import { RefusedError, UsageError } from '../diagnostics/error.ts';
import { type CodeBelow, codeBelow, type LevelInput } from '../diff/code-below.ts';
import { readUpdateFile } from '../update/read-update.ts';
import type { CodeBelow as ReplacementBelow, Update } from '../update/update.ts';
import type { CompareObjects } from './diff-built.ts';
import type { KernelParts } from './kernel-parts.ts';

/**
 * Reads the updates, from the lowest up. Throws UsageError where an update that one of them is on top of is not given
 * before it, or one is given twice.
 */
export function readBelow(files: readonly string[], id: string | undefined): readonly Update[] {
  const updates: Update[] = [];
  for (const file of files) {
    const update = readUpdateFile(file);
    if (updates.some((each) => each.id === update.id) || update.id === id) {
      throw new UsageError('usage', `--on ${file}: the ID ${update.id} is taken already`, {
        hint: 'an ID stands for one update on a machine: give each update once, and the new one another (--id)',
      });
    }
    const missing = update.on.find((below) => !updates.some((each) => each.digest === below.digest));
    if (missing !== undefined) {
      throw new UsageError('usage', `--on ${file}: ${update.id} is made on top of ${missing.id}`, {
        hint: `give that update with --on, too, before this one`,
      });
    }
    updates.push(update);
  }
  return updates;
}

/** Their patches, in the order in which they apply. */
export function patchesOf(updates: readonly Update[]): readonly (readonly Patch[])[] {
  return updates.map(({ patches }) => patches.map(({ name, bytes }) => parsePatch(bytes, name)));
}

/** Throws RefusedError if one of them is for another kernel, or for another interface of the core. */
export function checkBelow(updates: readonly Update[], kernel: KernelParts, coreInterface: number): void {
  for (const { id, kernel: theirs, coreInterface: interfaceOf } of updates) {
    const same = (['release', 'version', 'banner'] as const).find((part) => {
      const [a, b] = [theirs[part], kernel[part]];
      return a !== null && b !== null && a !== b;
    });
    if (same !== undefined) {
      throw new RefusedError('refused', `--on: ${id} is for '${theirs[same]}', expected '${kernel[same]}'`, {
        hint: 'all updates of a machine are for the kernel that it runs',
      });
    }
    if (interfaceOf !== coreInterface) {
      throw new RefusedError(
        'refused',
        `--on: ${id} needs a core of interface ${interfaceOf}, this version has ${coreInterface}`,
        { hint: 'make the update with the version of ksplice that made the ones below' },
      );
    }
  }
}

/** The replacement object that an update has for the unit. */
function replacementIn({ units }: Update, unit: BuiltUnit): Uint8Array | undefined {
  return units.find(({ path, target }) => path === unit.path && target === unit.target)?.replacement;
}

/** Finds out whose code the unit's functions and objects are; undefined without updates below. */
export async function unitBelow(
  unit: BuiltUnit,
  updates: readonly Update[],
  compare: CompareObjects,
): Promise<CodeBelow | undefined> {
  const objects = [...unit.levels, unit.pre];
  const inputs: LevelInput[] = [];
  for (const [level, update] of updates.entries()) {
    const [pre, post] = [objects[level], objects[level + 1]];
    if (pre === undefined || post === undefined) continue;
    const compared = await compare({ ...unit, pre, post, layouts: [], crcs: [] });
    inputs.push({ id: update.id, ...compared, replacement: replacementIn(update, unit) });
  }
  return inputs.length === 0 ? undefined : codeBelow(inputs);
}

/** The replacement objects of these owners for the unit, from the lowest up. */
export function replacementsOf(
  unit: BuiltUnit,
  updates: readonly Update[],
  owners: ReadonlySet<string>,
): readonly ReplacementBelow[] {
  return updates.flatMap((update) => {
    const replacement = replacementIn(update, unit);
    return replacement === undefined || !owners.has(update.id) ? [] : [{ id: update.id, replacement }];
  });
}
