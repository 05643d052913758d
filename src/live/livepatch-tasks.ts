/**
 * Which tasks a transition waits for: those whose /proc/PID/task/TID/patch_state is not yet what it is to be
 * (Documentation/livepatch/livepatch.rst, 3): 0 the old code, 1 the new, -1 where there is no transition.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Conflict } from './core-sysfs.ts';
import { readOr } from './module-state.ts';

function listed(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => /^\d+$/.test(name));
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

/** Names of the functions on a task's stack, the innermost first: lines of `[<0>] pipe_read+0x1f/0x3a0`. */
export function functionsOnStack(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => /^\[<[^>]*>\] ([^\s+]+)\+0x/.exec(line)?.[1] ?? []);
}

/** Of the functions of a stack, those that the update is about; the innermost where none is, or none if it runs. */
function inTheWay(stack: readonly string[], replaced: ReadonlySet<string>): readonly string[] {
  const ours = stack.filter((name) => replaced.has(name.replace(/\..*$/, '')));
  return ours.length > 0 ? [...new Set(ours)] : stack.slice(0, 1);
}

/** `target`: 1 if the new code is to come, 0 if it is to go. */
export function tasksInTransition(
  target: 0 | 1,
  replaced: readonly string[],
  root = '/proc',
): readonly Conflict[] {
  const names = new Set(replaced);
  return listed(root).flatMap((process) =>
    listed(path.join(root, process, 'task')).flatMap((task): Conflict[] => {
      const at = path.join(root, process, 'task', task);
      if (readOr(path.join(at, 'patch_state'), '-1') !== String(1 - target)) return [];
      const stack = functionsOnStack(readOr(path.join(at, 'stack'), ''));
      const functions = inTheWay(stack, names);
      return [
        {
          task: readOr(path.join(at, 'comm'), '?'),
          pid: Number(task),
          functions: functions.length > 0 ? functions : ['the kernel, or runs'],
        },
      ];
    }),
  );
}
