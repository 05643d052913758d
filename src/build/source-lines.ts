/**
 * Source lines in the object that is compared with memory, so that a difference can be shown where it was written.
 *
 * gcc -g1 makes line tables and little else, and changes no code. Only the tables are kept: they are a fifth of an
 * object's size, and the rest of what -g1 makes is of no use here. Paths in them are those in the source tree, whatever
 * directory it lies in.
 */
import { run } from '../process/run.ts';
import { inCleanEnvironment } from './kbuild.ts';
import type { PreparedTree } from './tree.ts';

/** What goes with line tables, and says nothing about lines. */
const REST = ['info', 'abbrev', 'aranges', 'rnglists', 'str', 'frame', 'loclists'] as const;

export function sourceLineFlags(tree: PreparedTree): readonly string[] {
  return ['-g1', '-gdwarf-5', `-fdebug-prefix-map=${tree.source}/=`, `-fdebug-prefix-map=${tree.buildDir}=.`];
}

/** Leaves nothing of an object's debug information but the lines. */
export async function keepSourceLines(object: string, signal?: AbortSignal): Promise<void> {
  const removed = REST.flatMap((name) => ['-R', `.debug_${name}`]);
  await run(inCleanEnvironment(['objcopy', ...removed, object]), signal === undefined ? {} : { signal });
}
