/** Compiles each affected unit: from the original source, as updates below have made it, and with the patch. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, InternalError, MissingError, RefusedError } from '../diagnostics/error.ts';
import { differingLayouts, type LayoutPool } from '../elf/type-layouts.ts';
import type { AffectedUnit, BuildUnitsOptions, BuiltUnit } from './build-units.ts';
import { emptyCommand } from './compile-command.ts';
import { compileUnit, sectionFlags, type UnitBuild, type UnitObject } from './compile-unit.ts';
import { exportCrcChanges, readKernelCrcs } from './export-crcs.ts';
import { mapLimited } from './map-limited.ts';
import { targetsOf } from './module-targets.ts';
import { checkLevel, type PatchedTrees } from './source-levels.ts';
import { type NumberedObject, sourcesOfUnit } from './source-of-code.ts';
import type { PreparedTree } from './tree.ts';
import { makeDirectory } from './work-directory.ts';

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

export interface SourceTrees {
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

export async function compileUnits(
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
  onProgress?.(
    `compiling ${affected.length === 1 ? '1 unit' : `${affected.length} units`}: ${tasks.length} objects`,
  );
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
    onProgress?.(`compiled ${unit.command.object} (${variant.name}), ${done} of ${tasks.length}`, 'part');
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
