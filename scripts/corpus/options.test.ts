import { describe, expect, test } from 'vitest';
import { globPattern } from './glob.ts';
import { parseOptions } from './options.ts';

describe('patterns', () => {
  test.each([
    ['net/*.c', 'net/socket.c', true],
    ['net/*.c', 'net/core/sock.c', false],
    ['net/**', 'net/core/sock.c', true],
    ['**/inode.c', 'inode.c', true],
    ['**/inode.c', 'fs/ext4/inode.c', true],
    ['**/inode.c', 'fs/xinode.c', false],
    ['fs/?fs/x.c', 'fs/gfs/x.c', true],
    ['fs/?fs/x.c', 'fs//fs/x.c', false],
    ['a.c', 'abc', false],
    ['fs/exec.c', 'fs/exec.c.orig', false],
  ])('%s, %s: %s', (glob, path, matches) => {
    expect(globPattern(glob).test(path)).toBe(matches);
  });
});

describe('options', () => {
  test('by default all stages of all files, two at a time, one guest, nothing twice', () => {
    expect(parseOptions([])).toEqual({
      stages: new Set(['create', 'check', 'apply']),
      only: [],
      limit: Number.POSITIVE_INFINITY,
      jobs: 2,
      guests: 1,
      again: false,
      list: false,
    });
  });

  test('--only can be repeated', () => {
    const only = parseOptions(['--only', 'fs/*', '--only=net/*'])?.only ?? [];
    expect(['fs/x.c', 'net/y.c', 'mm/z.c'].map((path) => only.some((one) => one.test(path)))).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('--stage can be repeated', () => {
    expect(parseOptions(['--stage', 'check', '--stage=apply', '--guests', '2'])).toMatchObject({
      stages: new Set(['check', 'apply']),
      guests: 2,
    });
  });

  test.each([
    [['--jobs', '0']],
    [['--guests', '0']],
    [['--stage', 'undo']],
    [['--limit', 'many']],
    [['--onyl', 'x']],
    [['fs/exec.c']],
  ])('refused: %j', (argv) => {
    expect(() => parseOptions(argv)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test('--help is no request', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });
});
