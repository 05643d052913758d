import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { functionsOnStack, tasksInTransition } from './livepatch-tasks.ts';

describe('functionsOnStack', () => {
  it('lists the functions of /proc/PID/stack, the innermost first', () => {
    const text =
      '[<0>] handle_userfault+0x3ab/0x6e0\n[<0>] ip_options_get.ksplice_fix+0x2f/0xd0\n[<0>] entry\n';
    expect(functionsOnStack(text)).toEqual(['handle_userfault', 'ip_options_get.ksplice_fix']);
  });
});

describe('tasksInTransition', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ksplice-tasks-'));
    const tasks = [
      [10, 10, '0', 'sleeps_in_it', '[<0>] wait+0x1/0x2\n[<0>] pipe_read+0x3/0x4\n'],
      [10, 11, '1', 'switched', ''],
      [20, 20, '0', 'runs', ''],
      [30, 30, '-1', 'new', ''],
      [40, 40, '0', 'elsewhere', '[<0>] poll+0x1/0x2\n[<0>] read+0x1/0x2\n'],
    ] as const;
    for (const [process, task, state, comm, stack] of tasks) {
      const at = join(root, String(process), 'task', String(task));
      mkdirSync(at, { recursive: true });
      writeFileSync(join(at, 'patch_state'), `${state}\n`);
      writeFileSync(join(at, 'comm'), `${comm}\n`);
      writeFileSync(join(at, 'stack'), stack);
    }
    mkdirSync(join(root, 'sys'));
  });

  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it('are those that run the old code, each with what it is in', () => {
    expect(tasksInTransition(1, ['pipe_read'], root)).toEqual([
      { task: 'sleeps_in_it', pid: 10, functions: ['pipe_read'] },
      { task: 'runs', pid: 20, functions: ['the kernel, or runs'] },
      { task: 'elsewhere', pid: 40, functions: ['poll'] },
    ]);
  });

  it('are those that run the new code, when it is to go', () => {
    expect(tasksInTransition(0, ['pipe_read'], root).map(({ task }) => task)).toEqual(['switched']);
  });
});
