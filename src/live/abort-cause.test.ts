import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KspliceError } from '../diagnostics/error.ts';

const roots = vi.hoisted(() => ({ sysfs: '' }));
vi.mock('./paths.ts', () => ({
  get SYSFS_ROOT(): string {
    return roots.sysfs;
  },
}));
const { abortError, describeConflict } = await import('./abort-cause.ts');

beforeEach(() => {
  roots.sysfs = mkdtempSync(path.join(tmpdir(), 'ksplice-sysfs-'));
});
afterEach(() => {
  rmSync(roots.sysfs, { recursive: true, force: true });
});

/** The error for what the core says in sysfs. */
function errorFor(
  cause: string,
  conflicts = '',
  errno = 'EAGAIN',
  verb: 'apply' | 'undo' = 'apply',
): KspliceError {
  const directory = path.join(roots.sysfs, 'fix_1');
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'abort_cause'), `${cause}\n`);
  writeFileSync(path.join(directory, 'conflicts'), conflicts);
  writeFileSync(path.join(directory, 'failed_hook'), cause === 'call_failed' ? 'limit_is_default -16\n' : '');
  return abortError(['fix_1'], verb, errno);
}

const conflicts = 'sleeper 1234 pipe_read\nkworker/0:1 99 pipe_read pipe_write\n';

describe('abortError', () => {
  it.each<readonly [string, string, string, number, RegExp, RegExp]>([
    [
      'code_busy',
      conflicts,
      'code_busy',
      5,
      /code in use: sleeper \(pid 1234\) is in pipe_read; kworker/,
      /try again/,
    ],
    ['code_busy', '', 'code_busy', 5, /something else owns the bytes, see dmesg/, /kprobe/],
    [
      'unexpected_running_task',
      conflicts,
      'unexpected_running_task',
      5,
      /sleeper \(pid 1234\), kworker\/0:1 \(pid 99\) ran while all CPUs/,
      /try again/,
    ],
    ['module_busy', '', 'module_busy', 5, /another update has the function/, /undo the other update/],
    [
      'call_failed',
      '',
      'call_failed',
      2,
      /its hook limit_is_default refused it \(returned -16\); the kernel is as it was/,
      /the patch says what it asks for/,
    ],
    ['no_match', '', 'no_match', 4, /changed between matching and the stop/, /dmesg/],
    [
      'target_not_loaded',
      '',
      'target_not_loaded',
      69,
      /a module that the update needs is gone/,
      /load the module/,
    ],
    ['out_of_memory', '', 'out_of_memory', 5, /no memory/, /try again/],
    ['unexpected', '', 'unexpected', 70, /cannot apply: unexpected \(EAGAIN\)/, /report it/],
    ['a_new_cause', '', 'unexpected', 70, /a_new_cause/, /report it/],
  ])('%s', (cause, tasks, code, exitCode, message, hint) => {
    const error = errorFor(cause, tasks);
    expect(error).toMatchObject({ code, exitCode });
    expect(error.message).toMatch(/^fix_1: /);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expect(error.message).toMatch(/the kernel is as it was$/);
    expect(error.details).toMatchObject({ id: 'fix_1', cause, errno: 'EAGAIN' });
  });

  it('says which state an undo that failed leaves behind', () => {
    for (const cause of ['code_busy', 'module_busy', 'no_match', 'out_of_memory', 'unexpected']) {
      const error = errorFor(cause, conflicts, 'EAGAIN', 'undo');
      expect(error.message).toMatch(/the update is still applied$/);
      expect(error.message).not.toMatch(/apply/);
    }
  });

  it('tells who cannot undo because the module is gone that nothing but a boot helps', () => {
    const error = errorFor('target_not_loaded', '', 'EAGAIN', 'undo');
    expect(error).toMatchObject({ code: 'target_not_loaded', exitCode: 69 });
    expect(error.message).toMatch(/the update is still applied$/);
    expect(error.hint).toMatch(/unloaded by force.*until the machine boots again/);
    expect(error.hint).not.toMatch(/modprobe/);
  });

  it('a change that is refused because another is under way', () => {
    const error = errorFor('unexpected', '', 'EBUSY');
    expect(error).toMatchObject({
      code: 'module_busy',
      exitCode: 5,
      hint: expect.stringMatching(/ksplice view/),
    });
    // The other one may succeed.
    expect(error.message).not.toMatch(/as it was/);
    expect(errorFor('ok', '', 'EIO')).toMatchObject({ code: 'unexpected', exitCode: 70 });
  });

  it('names some of many who were in the way, and carries all', () => {
    const many = Array.from({ length: 100 }, (_, index) => `sleeper ${index + 1} pipe_read\n`).join('');
    const error = errorFor('code_busy', many);
    expect(error.message).toMatch(
      /: sleeper \(pid 1\) is in pipe_read; .*; sleeper \(pid 8\) is in pipe_read; and 92 more;/,
    );
    expect(error.message).not.toContain('(pid 9)');
    expect(error.details?.['conflicts']).toHaveLength(100);
    const eight = many.split('\n').slice(0, 8).join('\n');
    expect(errorFor('code_busy', eight).message).not.toContain('more');
  });

  it('carries who was in the way, for programs', () => {
    expect(errorFor('code_busy', conflicts).details).toMatchObject({
      conflicts: [
        { task: 'sleeper', pid: 1234, functions: ['pipe_read'] },
        { task: 'kworker/0:1', pid: 99, functions: ['pipe_read', 'pipe_write'] },
      ],
    });
  });
});

describe('describeConflict', () => {
  it('names task, pid and functions', () => {
    expect(describeConflict({ task: 'tmux: server', pid: 7, functions: ['a', 'b'] })).toBe(
      'tmux: server (pid 7) is in a, b',
    );
  });

  it('says what the words of the core mean that are no functions', () => {
    expect(describeConflict({ task: 'exiting', pid: 0, functions: ['*'] })).toBe(
      'a thread that is just ending',
    );
    expect(describeConflict({ task: 'sh', pid: 7, functions: ['kprobe-slot'] })).toBe(
      'sh (pid 7) is in code of a kprobe',
    );
  });
});
