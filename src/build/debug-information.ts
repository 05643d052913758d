/**
 * Debug information in the objects that are compiled: source lines, so that a difference can be shown where it was
 * written, and in the two that are compared with each other the layout of types, and where functions are defined.
 *
 * gcc -g changes no code. Of it only lines are kept in an object: they are a fifth of its size. The rest is read once, and
 * taken out. Paths in it are those in the source tree, whatever directory it lies in.
 */
import { readFile } from 'node:fs/promises';
import { readDebugEntries } from '../elf/debug-entries.ts';
import { readObject } from '../elf/read-object.ts';
import { readSourceFunctions, type SourceFunction } from '../elf/source-functions.ts';
import { type LayoutPool, readTypeLayouts, type TypeLayouts } from '../elf/type-layouts.ts';
import { run } from '../process/run.ts';
import { inCleanEnvironment } from './kbuild.ts';
import type { PreparedTree } from './tree.ts';

type Kind = 'lines' | 'types';

/** What goes with line tables, and says nothing about lines. */
const REST = ['info', 'abbrev', 'aranges', 'rnglists', 'str', 'frame', 'loclists'] as const;

/**
 * -g1 makes line tables and little else, and has to come last: -gdwarf-5 raises the level. Where variables are at each
 * instruction is a third of what -g makes, and nobody asks for it.
 */
const LEVEL: Readonly<Record<Kind, readonly string[]>> = {
  lines: ['-gdwarf-5', '-g1'],
  types: ['-gdwarf-5', '-g', '-fno-var-tracking'],
};

/** `root` is the tree that the unit is compiled from: the original, or a mirror of it. */
export function debugFlags(tree: PreparedTree, root: string, wanted: Kind): readonly string[] {
  const roots = [...new Set([root, tree.source])].map((each) => `-fdebug-prefix-map=${each}/=`);
  return [...LEVEL[wanted], ...roots, `-fdebug-prefix-map=${tree.buildDir}=.`];
}

export interface DebugInformation {
  readonly types: TypeLayouts;
  readonly functions: readonly SourceFunction[];
}

/** Leaves nothing of an object's debug information but the lines, or nothing at all. */
export async function keepSourceLines(
  object: string,
  signal?: AbortSignal,
  isWithout = false,
): Promise<void> {
  const options = isWithout ? ['--strip-debug'] : REST.flatMap((name) => ['-R', `.debug_${name}`]);
  await run(inCleanEnvironment(['objcopy', ...options, object]), signal === undefined ? {} : { signal });
}

/**
 * Reads what goes with the lines, and leaves nothing but these in the object; not even these where it is from assembly, which
 * is taken apart before it is compared.
 */
export async function takeDebugInformation(
  object: string,
  pool: LayoutPool,
  isAssembly: boolean,
  signal?: AbortSignal,
): Promise<DebugInformation> {
  const read = readObject(await readFile(object), object);
  const entries = readDebugEntries(read);
  const found = {
    types: readTypeLayouts(read, pool, entries) ?? new Map(),
    functions: readSourceFunctions(read, entries),
  };
  await keepSourceLines(object, signal, isAssembly);
  return found;
}
