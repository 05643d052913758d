/**
 * The source of a kernel that has been updated already: one tree for each update below, each with the patches of all that
 * are lower.
 *
 * An update on top of others is the difference between the highest of these and what the new patch makes of it. The lower ones
 * tell which update brought what (diff/code-below.ts).
 */
import path from 'node:path';
import { RefusedError } from '../diagnostics/error.ts';
import { addAuthorHeaders } from './author-headers.ts';
import type { UnitObject } from './compile-unit.ts';
import { numberLines } from './line-numbers.ts';
import { completeMirror } from './mirror-tree.ts';
import { writeNewFiles } from './new-file.ts';
import { applyPatches } from './patch/apply-patch.ts';
import type { Patch } from './patch/model.ts';
import { classifyFiles } from './touched-files.ts';

/** Trees that hold the patched source. */
export interface PatchedTrees {
  /** As the patches have made it. */
  readonly mirror: string;
  /** With the numbers of lines that the original has (line-numbers.ts); the same where no line has another. */
  readonly numbered: string;
  /** Paths that updates below have changed, or added. */
  readonly below: readonly string[];
}

export interface LevelOptions {
  /** The original tree. */
  readonly source: string;
  /** Patches of the updates below, from the lowest up. */
  readonly below: readonly (readonly Patch[])[];
  readonly authorHeaders: string;
  /** Directories that must not be links; see MirrorOptions. */
  readonly directories: readonly string[];
  /** Gives an empty directory of this name. */
  readonly makeDirectory: (name: string) => Promise<string>;
}

/** One tree for each update below. Throws FormatError where a patch does not apply. */
export async function makeLevels(options: LevelOptions): Promise<readonly PatchedTrees[]> {
  const levels: PatchedTrees[] = [];
  for (const level of options.below.keys()) {
    levels.push(await makeLevel(options, options.below.slice(0, level + 1).flat(), level));
  }
  return levels;
}

async function makeLevel(
  { source, authorHeaders, directories, makeDirectory }: LevelOptions,
  patches: readonly Patch[],
  level: number,
): Promise<PatchedTrees> {
  const mirror = await makeDirectory(`below-${level}`);
  const { paths } = await applyPatches(patches, source, mirror);
  const { added, removed } = classifyFiles(patches);
  await writeNewFiles(patches, mirror);
  const ours = await addAuthorHeaders(mirror, [...paths, ...added], authorHeaders);
  const below = [...new Set([...paths, ...added, ...ours])];
  await completeMirror(mirror, source, below, { removed, directories });
  const directory = await makeDirectory(`below-${level}-numbered`);
  const numbered = await numberLines(source, mirror, directory, paths);
  return { mirror, numbered, below };
}

/** The compiler's word on what it read: no original of a file that an update below has changed. */
export function checkLevel(unit: string, object: UnitObject, source: string, below: readonly string[]): void {
  const original = below.find((file) => object.dependencies.has(path.join(source, file)));
  if (original === undefined) return;
  throw new RefusedError('refused', `${unit} includes ${original} in a way that is not followed`, {
    hint: 'an update below changes that file; undo it, and make one update of both patches',
    details: { unit, file: original },
  });
}
