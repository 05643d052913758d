import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const roots = vi.hoisted(() => ({ sysfs: '' }));
vi.mock('./paths.ts', () => ({
  get SYSFS_ROOT(): string {
    return roots.sysfs;
  },
}));
const core = await import('./core-sysfs.ts');

beforeEach(() => {
  roots.sysfs = mkdtempSync(path.join(tmpdir(), 'ksplice-sysfs-'));
});
afterEach(() => {
  rmSync(roots.sysfs, { recursive: true, force: true });
});

function entry(id: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(path.join(roots.sysfs, id));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(roots.sysfs, id, name), text);
}

describe('parseConflicts', () => {
  it.each<readonly [string, string, number, readonly string[]]>([
    ['sleeper 1234 pipe_read', 'sleeper', 1234, ['pipe_read']],
    ['kworker/0:1 99 a b c', 'kworker/0:1', 99, ['a', 'b', 'c']],
    // Names of tasks are free text.
    ['tmux: server 7 a', 'tmux: server', 7, ['a']],
    ['my 5 task 123 a', 'my 5 task', 123, ['a']],
    ['42 17 a', '42', 17, ['a']],
    [' 3 a', '', 3, ['a']],
    ['swapper/1 0 cpu_idle', 'swapper/1', 0, ['cpu_idle']],
    ['x 12 foo.cold foo.part.0', 'x', 12, ['foo.cold', 'foo.part.0']],
  ])('%s', (line, task, pid, functions) => {
    expect(core.parseConflicts(`${line}\n`)).toEqual([{ task, pid, functions }]);
  });

  it('nobody, and several', () => {
    expect(core.parseConflicts('')).toEqual([]);
    expect(core.parseConflicts('\n')).toEqual([]);
    expect(core.parseConflicts('a 1 f\nb 2 g h\n').map(({ pid }) => pid)).toEqual([1, 2]);
  });
});

describe('parseTiming', () => {
  it('reads values by name, in any order', () => {
    expect(
      core.parseTiming(
        'call_ns 90210\nstopped_ns 41000\nattempts 2\nscanned 3\nprechecked 170\ntasks 180\nother 1',
      ),
    ).toEqual({
      attempts: 2,
      stoppedNs: 41000,
      callNs: 90210,
      tasks: 180,
      scanned: 3,
      prechecked: 170,
      switchNumber: 0,
    });
  });

  it('what is not there is 0, and a longer name is another name', () => {
    expect(core.parseTiming('tasks_seen 5')).toEqual({
      attempts: 0,
      stoppedNs: 0,
      callNs: 0,
      tasks: 0,
      scanned: 0,
      prechecked: 0,
      switchNumber: 0,
    });
  });
});

describe('entries', () => {
  it('are the directories, sorted', () => {
    entry('b', {});
    entry('a', {});
    writeFileSync(path.join(roots.sysfs, 'control'), '');
    expect(core.listEntries()).toEqual(['a', 'b']);
    expect(core.hasEntry('a')).toBe(true);
    expect(core.hasEntry('c')).toBe(false);
  });

  it('are none without the core', () => {
    rmSync(roots.sysfs, { recursive: true });
    expect(core.isCoreLoaded()).toBe(false);
    expect(core.listEntries()).toEqual([]);
  });

  it('have one of three stages', () => {
    for (const stage of ['preparing', 'applied', 'reversed']) {
      entry(stage, { stage: `${stage}\n` });
      expect(core.stageOf(stage)).toBe(stage);
    }
    entry('odd', { stage: 'half\n' });
    expect(() => core.stageOf('odd')).toThrow(/odd\/stage: 'half', expected preparing, applied, reversed/);
  });

  it('writes commands and stages, and gives the name of the error', () => {
    writeFileSync(path.join(roots.sysfs, 'control'), '');
    entry('a', { stage: '' });
    expect(core.control('create a')).toBeUndefined();
    expect(readFileSync(path.join(roots.sysfs, 'control'), 'utf8')).toBe('create a');
    expect(core.changeStage('a', 'applied')).toBeUndefined();
    expect(readFileSync(path.join(roots.sysfs, 'a', 'stage'), 'utf8')).toBe('applied');
    expect(core.changeStage('absent', 'applied')).toBe('ENOENT');
    mkdirSync(path.join(roots.sysfs, 'a', 'debug'));
    chmodSync(path.join(roots.sysfs, 'a', 'debug'), 0o700);
    expect(core.setDebug('a')).toBe('EISDIR');
  });
});
