import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { smallKernel } from '../../test/support/small-kernel.ts';
import { livepatchedEntries, livepatchOwner } from './livepatch-owner.ts';

let root = '';

beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'ksplice-livepatch-'));
  const functions = [
    'kpatch_1/vmlinux/pipe_read,1',
    'kpatch_2/vmlinux/show,12',
    'kpatch_2/veth/veth_open,1',
    'empty',
  ];
  for (const name of functions) mkdirSync(path.join(root, name), { recursive: true });
  writeFileSync(path.join(root, 'kpatch_1', 'enabled'), '1\n');
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('livepatchOwner', () => {
  it('names the livepatch that replaces a function of the kernel', () => {
    expect(livepatchOwner('pipe_read', 'vmlinux', root)).toBe('kpatch_1');
    expect(livepatchOwner('show', 'vmlinux', root)).toBe('kpatch_2');
  });

  it('is none for parts of names and for functions of modules', () => {
    for (const name of ['pipe', 'pipe_read,1', 'read', 'veth_open', '']) {
      expect(livepatchOwner(name, 'vmlinux', root), name).toBeUndefined();
    }
  });

  it('is none on a kernel without livepatch', () => {
    expect(livepatchOwner('pipe_read', path.join(root, 'absent'))).toBeUndefined();
  });
});

describe('livepatchedEntries', () => {
  it('are where the functions are: by position among those of a name, and in modules', () => {
    const kernel = smallKernel();
    kernel.define('pipe_read', 0xffffffff81230000n);
    for (let i = 0n; i < 12n; i += 1n) kernel.define('show', 0xffffffff81231000n + i * 0x100n, 't');
    kernel.define('veth_open', 0xffffffffc0a1b000n, 't', 'veth');
    const found = livepatchedEntries(kernel, root).map(({ at, owner, kind }) => [at, owner, kind]);
    expect(found).toEqual([
      [0xffffffff81230000n, 'the livepatch kpatch_1', 'livepatch'],
      [0xffffffffc0a1b000n, 'the livepatch kpatch_2', 'livepatch'],
      [0xffffffff81231b00n, 'the livepatch kpatch_2', 'livepatch'],
    ]);
  });

  it('are none on a kernel without livepatch, or of functions that it does not have', () => {
    expect(livepatchedEntries(smallKernel(), path.join(root, 'absent'))).toEqual([]);
    expect(livepatchedEntries(smallKernel(), root)).toEqual([]);
  });
});
