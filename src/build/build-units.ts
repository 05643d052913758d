/**
 * From a patch to objects: which units it affects, each compiled before and after.
 *
 * The passes, in order: what each file of the patch means (refusals are collected, none is fatal yet);
 * the patch applied to copies; the units found, with kbuild's help; the copies completed to a tree; and
 * three compilations a unit. `pre plain` is what the distributor compiled, for matching with the running
 * kernel; `pre` and `post` have each function and object in its own section, for differencing.
 */
import { mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  FormatError,
  InternalError,
  MissingError,
  NoChangeError,
  RefusedError,
} from '../diagnostics/error.ts';
import { withNotes } from '../diagnostics/with-notes.ts';
import { differingLayouts, type LayoutPair, type LayoutPool } from '../elf/type-layouts.ts';
import { findAffectedUnits } from './affected-units.ts';
import { addAuthorHeaders } from './author-headers.ts';
import { type CompileCommand, detoursOf, emptyCommand } from './compile-command.ts';
import { compileUnit, sectionFlags, type UnitBuild, type UnitObject } from './compile-unit.ts';
import { type ExportCrcChange, exportCrcChanges, readKernelCrcs } from './export-crcs.ts';
import { findIncludingUnits } from './including-units.ts';
import { numberLines } from './line-numbers.ts';
import { mapLimited } from './map-limited.ts';
import { completeMirror } from './mirror-tree.ts';
import { targetsOf } from './module-targets.ts';
import { writeNewFiles } from './new-file.ts';
import { askAboutNewUnits, readNewSources } from './new-units.ts';
import { applyPatches } from './patch/apply-patch.ts';
import type { Patch } from './patch/model.ts';
import { checkLevel, makeLevels, type PatchedTrees } from './source-levels.ts';
import {
  type ChangedFile,
  findChangedFiles,
  type NumberedObject,
  type SourceOfObject,
  sourcesOfUnit,
} from './source-of-code.ts';
import { refuseOddPath } from './source-tree.ts';
import { classifyFiles, type Refusal, type TouchedFiles } from './touched-files.ts';
import type { PreparedTree } from './tree.ts';

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
  readonly onProgress?: (message: string) => void;
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

/** An empty directory `name` in `parent`; its path has no symbolic link in it. */
async function makeDirectory(parent: string, name: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  const directory = path.join(await realpath(parent), name);
  refuseOddPath(directory);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  return directory;
}

/**
 * The objects of each unit: two of the original source, one of each update below, one with the patch, in this order; and
 * behind them one with the patch for a whole module.
 */
function variantsOf({ levels, post }: SourceTrees, isWhole: boolean): readonly Variant[] {
  const top = levels.length;
  return [
    { name: 'pre-plain', isPlain: true, trees: undefined, isPost: false },
    { name: top === 0 ? 'pre' : 'original', isPlain: false, trees: undefined, isPost: false },
    ...levels.map((trees, level) => ({
      name: level === top - 1 ? 'pre' : `below-${level}`,
      isPlain: false,
      trees,
      isPost: false,
    })),
    { name: 'post', isPlain: false, trees: post, isPost: true },
    ...(isWhole ? [{ name: 'post-plain', isPlain: true, trees: post, isPost: true }] : []),
  ];
}

interface Variant {
  readonly name: string;
  readonly isPlain: boolean;
  /** Undefined for the original. */
  readonly trees: PatchedTrees | undefined;
  readonly isPost: boolean;
}

interface SourceTrees {
  /** As each of the updates below has made it. */
  readonly levels: readonly PatchedTrees[];
  readonly post: PatchedTrees;
}

/**
 * Compiles the patched unit. What does not compile with directives for lines is compiled without: then it is they
 * that were in the way, or the message has the lines that the author knows.
 */
async function compilePatched(
  tree: PreparedTree,
  build: Omit<UnitBuild, 'root'>,
  unit: AffectedUnit,
  trees: PatchedTrees,
  signal: AbortSignal | undefined,
): Promise<NumberedObject> {
  const { mirror, numbered } = trees;
  const compileFrom = async (root: string): Promise<NumberedObject> => {
    const object = await compileUnit(tree, { ...build, root }, signal);
    if (build.side === 'post') checkPatchedFiles(unit, object, tree.source, root);
    checkLevel(unit.command.object, object, tree.source, trees.below);
    return { ...object, isNumbered: root !== mirror };
  };
  try {
    return await compileFrom(numbered);
  } catch (error) {
    const mayBeDirectives =
      (error instanceof FormatError && error.code === 'compile_failed') ||
      (error instanceof MissingError && error.code === 'command_failed');
    if (!mayBeDirectives || numbered === mirror) throw error;
    return await compileFrom(mirror);
  }
}

async function compileUnits(
  options: BuildUnitsOptions,
  affected: readonly AffectedUnit[],
  trees: SourceTrees,
): Promise<readonly BuiltUnit[]> {
  const { tree, jobs, onProgress, signal } = options;
  const outputs = await makeDirectory(options.workDir, 'units');
  const targets: (readonly string[])[] = [];
  for (const { command } of affected) targets.push(await targetsOf(tree, command, options));
  const tasks = affected.flatMap((unit) => {
    const isWhole = options.wholeModules === true && unit.command.module !== undefined;
    return variantsOf(trees, isWhole).map((variant) => ({ unit, variant }));
  });
  const empty = path.join(outputs, 'empty.c');
  await writeFile(empty, '');
  const pool: LayoutPool = new Map();
  let done = 0;
  const objects = await mapLimited(tasks, jobs, async ({ unit, variant }) => {
    const output = path.join(outputs, variant.name, unit.source.replace(/\.c$/, ''));
    await mkdir(path.dirname(output), { recursive: true });
    const { isPlain, trees: patched, isPost } = variant;
    const kind = isPlain ? { flags: [], types: undefined } : { flags: sectionFlags, types: pool };
    const build = { side: isPost ? 'post' : 'pre', output, ...kind } as const;
    const isAbsent = unit.isNew === true && !isPost;
    const command = isAbsent ? emptyCommand(unit.command, empty) : unit.command;
    const object =
      patched === undefined || isAbsent
        ? {
            ...(await compileUnit(tree, { ...build, command, root: tree.source }, signal)),
            isNumbered: false,
          }
        : await compilePatched(tree, { ...build, command }, unit, patched, signal);
    done += 1;
    onProgress?.(`compiled ${unit.command.object} (${variant.name}), ${done} of ${tasks.length}`);
    return object;
  });
  const roots = { pre: trees.levels.at(-1)?.mirror ?? tree.source, post: trees.post.mirror };
  const perUnit = await mapLimited([...affected.entries()], jobs, async ([index, unit]) => {
    const own = objects.filter((_, i) => tasks[i]?.unit === unit);
    const postPlain = own.length > variantsOf(trees, false).length ? own.at(-1) : undefined;
    const [prePlain, ...sectioned] = postPlain === undefined ? own : own.slice(0, -1);
    const [pre, post] = sectioned.slice(-2);
    if (prePlain === undefined || pre === undefined || post === undefined) {
      throw new InternalError('unexpected', `${unit.command.object}: an object is missing`);
    }
    const sources = await sourcesOfUnit({ tree, unit, pre, post, roots, outputs, pool, signal });
    return (targets[index] ?? []).map((target) => ({
      command: unit.command,
      path: unit.command.object,
      source: unit.source,
      target,
      prePlain: prePlain.bytes,
      pre: pre.bytes,
      levels: sectioned.slice(0, -2).map(({ bytes }) => bytes),
      post: post.bytes,
      postPlain: postPlain?.bytes,
      layouts: differingLayouts(pre.types, post.types),
      patched: unit.patched,
      preSource: sources?.pre,
      postSource: sources?.post,
    }));
  });
  const built = perUnit.flat();

  // What they export, and whether it has another type than modules were compiled for.
  const directory = path.join(options.workDir, 'exports');
  const where = { mirror: trees.post.mirror, kernel: await readKernelCrcs(tree, built), directory, signal };
  return await mapLimited(built, jobs, async ({ command, ...unit }): Promise<BuiltUnit> => {
    const crcs = await exportCrcChanges(tree, { command, ...unit }, where);
    return { ...unit, crcs };
  });
}

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
      hint: 'leave out of the patch what the fix is complete without; what is refused here needs a reboot',
      details: { refusals: unique },
    },
  );
}

/**
 * The compiler's word on what it read: the post object must be made of the patched files and of no
 * original of them. Anything else would be an update that lacks its fix.
 */
function checkPatchedFiles(unit: AffectedUnit, object: UnitObject, source: string, mirror: string): void {
  for (const file of unit.patched) {
    const isPatched = object.dependencies.has(path.join(mirror, file));
    const isOriginal = object.dependencies.has(path.join(source, file));
    if (isOriginal || (!isPatched && file === unit.source)) {
      throw new RefusedError(
        'refused',
        `${unit.command.object} includes ${file} in a way that is not followed`,
        {
          details: { unit: unit.command.object, file },
        },
      );
    }
  }
}
