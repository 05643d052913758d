/**
 * From a patch to objects: which units it affects, each compiled before and after.
 *
 * The passes, in order: what each file of the patch means (refusals are collected, none is fatal yet);
 * the patch applied to copies; the units found, with kbuild's help; the copies completed to a tree; and
 * three compilations a unit. `pre plain` is what the distributor compiled, for matching with the running
 * kernel; `pre` and `post` have each function and object in its own section, for differencing.
 */

import { NoChangeError, RefusedError } from '../diagnostics/error.ts';
import { withNotes } from '../diagnostics/with-notes.ts';
import { type LayoutPair } from '../elf/type-layouts.ts';
import type { OnProgress } from '../process/on-progress.ts';
import { findAffectedUnits } from './affected-units.ts';
import { addAuthorHeaders } from './author-headers.ts';
import { type CompileCommand, detoursOf } from './compile-command.ts';
import { compileUnits } from './compile-units.ts';
import { type ExportCrcChange } from './export-crcs.ts';
import { findIncludingUnits } from './including-units.ts';
import { numberLines } from './line-numbers.ts';
import { completeMirror } from './mirror-tree.ts';
import { writeNewFiles } from './new-file.ts';
import { askAboutNewUnits, readNewSources } from './new-units.ts';
import { applyPatches } from './patch/apply-patch.ts';
import type { Patch } from './patch/model.ts';
import { makeLevels } from './source-levels.ts';
import { type ChangedFile, findChangedFiles, type SourceOfObject } from './source-of-code.ts';
import { classifyFiles, type Refusal, type TouchedFiles } from './touched-files.ts';
import type { PreparedTree } from './tree.ts';
import { makeDirectory } from './work-directory.ts';

export interface BuildUnitsOptions {
  readonly tree: PreparedTree;
  /** Applied in this order. */
  readonly patches: readonly Patch[];
  /** The patches of updates that are applied already, one list for each, from the lowest up; none unless told. */
  readonly below?: readonly (readonly Patch[])[] | undefined;
  /** A directory of our own for copies and objects; `mirror` and `units` in it are made anew. */
  readonly workDir: string;
  /** The directory of the headers that a patch may include beyond the kernel's. */
  readonly authorHeaders: string;
  readonly jobs: number;
  /** More units than this are not compiled for a header: UsageError tells how many there are. 400 unless told. */
  readonly maxUnits?: number | undefined;
  /** Compile patched units of modules also as the distributor would have: for whole modules. */
  readonly wholeModules?: boolean | undefined;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface BuiltUnit {
  /** `net/ipv4/ip_options.o`. */
  readonly path: string;
  /** `net/ipv4/ip_options.c`. */
  readonly source: string;
  /** `vmlinux`, or the module that it is part of. */
  readonly target: string;
  /** As the distributor compiled it, and with source lines. */
  readonly prePlain: Uint8Array;
  /**
   * The source as it is before the patch, with a section for each function and object: the original, or what the updates
   * below have made of it.
   */
  readonly pre: Uint8Array;
  /** What the source was before each of the updates below, compiled as `pre`, from the original up; none without them. */
  readonly levels: readonly Uint8Array[];
  /** The patched source, compiled as `pre`. */
  readonly post: Uint8Array;
  /** The patched source, compiled as `prePlain`; only of units of modules, where it was asked for. */
  readonly postPlain: Uint8Array | undefined;
  /** Types of both sides that lie in memory otherwise after the patch. */
  readonly layouts: readonly LayoutPair[];
  /** Files that the patch changes and that are part of the unit. */
  readonly patched: readonly string[];
  /** Where the code of `pre` and `post` is from; undefined if they are the same, or that cannot be told. */
  readonly preSource: SourceOfObject | undefined;
  readonly postSource: SourceOfObject | undefined;
  /** Exports with another CRC after the patch. */
  readonly crcs: readonly ExportCrcChange[];
}

export interface BuiltUnits {
  /** Sorted by path, then target: an object that is linked into several targets is a unit of each. */
  readonly units: readonly BuiltUnit[];
  /** Lines that the patches change in C files and headers; one that they bring is all new, and not among these. */
  readonly changed: readonly ChangedFile[];
  /** What was passed over, and what may matter. */
  readonly notes: readonly string[];
  /** The compiler's version text. */
  readonly compiler: string;
}

/** A unit that the patch affects, and the patched files that are in it. */
export interface AffectedUnit {
  readonly source: string;
  readonly command: CompileCommand;
  readonly patched: readonly string[];
  /** The patch brings it: there is nothing of it before. */
  readonly isNew?: boolean;
}

/**
 * Builds the objects of every unit that the patches affect.
 * Throws RefusedError with all refusals in `details.refusals`, NoChangeError if no unit is affected,
 * FormatError if the patch does not apply or does not compile.
 */
export async function buildUnits(options: BuildUnitsOptions): Promise<BuiltUnits> {
  const { tree, patches, below = [] } = options;

  // What each file of the patch means, by its path. Goes on past refusals, so that all are reported.
  const touched = classifyFiles(patches);

  // Apply the patch to copies, in a directory that holds nothing else: patch(1) must not meet a link.
  const mirror = await makeDirectory(options.workDir, 'mirror');
  const earlier = classifyFiles(below.flat());
  const applied = await applyPatches([...below.flat(), ...patches], tree.source, mirror);
  await writeNewFiles(below.flat(), mirror);

  // Find the units that the patched files are part of.
  const fresh = await readNewSources(tree.source, mirror, touched, patches);
  const found = await findAffectedUnits(options, touched.sources);
  const known = [
    ...touched.refusals,
    ...fresh.refusals,
    ...found.refusals,
    ...ofUpdatesBelow(touched, earlier),
  ];

  // Those that include what changes: headers, files that are new or gone.
  const ours = await addAuthorHeaders(mirror, applied.paths, options.authorHeaders);
  const patched = [...new Set([...applied.paths, ...earlier.added, ...touched.added, ...ours])];
  const { removed } = earlier;
  const others = withoutFiles(touched, fresh.sources);
  const included =
    others.included.length === 0
      ? { units: [], refusals: [], notes: [] }
      : await findIncludingUnits(options, others, { mirror, patched, removed, known, units: found.units });
  throwRefusals([...known, ...included.refusals]);
  const listed = mergeUnits(found.units, included.units);
  const directories = detoursOf(listed, tree.source);
  if (others.included.length === 0) {
    await completeMirror(mirror, tree.source, patched, { removed, directories });
  }

  // Units that the patch brings.
  const brought = await askAboutNewUnits(tree, mirror, fresh.sources, options);
  throwRefusals(brought.refusals);
  const affected = mergeUnits(listed, brought.units);
  const notes = [tree, touched, applied, found, included, brought].flatMap((each) => each.notes);
  if (affected.length === 0) {
    const message = withNotes('the patch touches no code of this kernel', notes);
    throw new NoChangeError('no_change', message, { details: { notes } });
  }

  // Compile them, before and after.
  const directory = await makeDirectory(options.workDir, 'numbered');
  const numbered = await numberLines(tree.source, mirror, directory, applied.paths);
  const levels = await makeLevels({
    source: tree.source,
    below,
    authorHeaders: options.authorHeaders,
    directories,
    makeDirectory: async (name) => await makeDirectory(options.workDir, name),
  });
  const post = { mirror, numbered, below: levels.at(-1)?.below ?? [] };
  const units = await compileUnits(options, affected, { levels, post });
  const before = levels.at(-1)?.mirror ?? tree.source;
  const changed = await findChangedFiles(before, mirror, applied.paths);
  return { units, changed, notes, compiler: tree.compiler };
}

/** What is left of the files when some of those that appear are taken away. */
function withoutFiles(touched: TouchedFiles, files: readonly string[]): TouchedFiles {
  const isLeft = (file: string): boolean => !files.includes(file);
  return { ...touched, included: touched.included.filter(isLeft), added: touched.added.filter(isLeft) };
}

/** Sources that only an update below has brought: the tree that kbuild is asked in does not have them. */
function ofUpdatesBelow(touched: TouchedFiles, earlier: TouchedFiles): readonly Refusal[] {
  return touched.sources
    .filter((file) => earlier.added.includes(file))
    .map((file) => ({ file, message: `${file} is a file that an update below brings: not supported` }));
}

/** A unit that is affected by its own source and by a header is one unit. */
function mergeUnits(
  direct: readonly AffectedUnit[],
  included: readonly AffectedUnit[],
): readonly AffectedUnit[] {
  const bySource = new Map(included.map((unit) => [unit.source, unit]));
  for (const unit of direct) {
    const other = bySource.get(unit.source);
    bySource.set(unit.source, {
      ...unit,
      patched: [...new Set([...unit.patched, ...(other?.patched ?? [])])],
    });
  }
  return [...bySource.values()].sort((a, b) => (a.command.object < b.command.object ? -1 : 1));
}

const REFUSED_HINT =
  'leave out of the patch what the fix is complete without; what is refused here needs a reboot';

/** One refusal is thrown for all: the author should see the whole list at once. */
function throwRefusals(refusals: readonly Refusal[]): void {
  const unique = [...new Map(refusals.map((one) => [one.message, one])).values()];
  const [first, ...rest] = unique;
  if (first === undefined) return;
  throw new RefusedError(
    'refused',
    rest.length === 0
      ? first.message
      : `${unique.length} refusals:\n${unique.map((one) => `  ${one.message}`).join('\n')}`,
    {
      hint: [...new Set(unique.map(({ hint }) => hint ?? REFUSED_HINT))].join('; '),
      details: { refusals: unique },
    },
  );
}
