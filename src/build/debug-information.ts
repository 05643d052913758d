/**
 * Debug information in the objects that are compiled: source lines in the one that is compared with memory, so that a
 * difference can be shown where it was written, and the layout of types in the two that are compared with each other.
 *
 * gcc -g changes no code. Of it only lines are kept in an object: they are a fifth of its size. Types are read once, and
 * taken out. Paths in it are those in the source tree, whatever directory it lies in.
 */
import { readFile } from 'node:fs/promises';
import { readObject } from '../elf/read-object.ts';
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

/** Leaves nothing of an object's debug information but the lines. */
export async function keepSourceLines(object: string, signal?: AbortSignal): Promise<void> {
  await removeSections(
    object,
    REST.map((name) => ['-R', `.debug_${name}`]),
    signal,
  );
}

/** Reads the types, and leaves no debug information in the object. */
export async function takeTypes(
  object: string,
  pool: LayoutPool,
  signal?: AbortSignal,
): Promise<TypeLayouts> {
  const types = readTypeLayouts(readObject(await readFile(object), object), pool);
  await removeSections(object, [['--strip-debug']], signal);
  return types ?? new Map();
}

async function removeSections(
  object: string,
  options: readonly (readonly string[])[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const command = ['objcopy', ...options.flat(), object] as const;
  await run(inCleanEnvironment(command), signal === undefined ? {} : { signal });
}
