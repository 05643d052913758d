import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { changedSource } from './changed-source.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ksplice-changed-'));
  await put('theirs/Makefile', 'VERSION = 6\n');
  await put('theirs/kernel/fork.c', 'fork\n');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

async function text(path: string): Promise<string> {
  return await readFile(join(folder, path), 'utf8').catch(() => 'none');
}

/** The tree, with these files changed or added. */
async function changed(files: Readonly<Record<string, string>>): Promise<string> {
  const at = (name: string): string => join(folder, name);
  return await changedSource(at('theirs'), at('ours'), at('list'), async (_source, work) => {
    for (const [path, contents] of Object.entries(files)) {
      await mkdir(dirname(join(work, path)), { recursive: true });
      await writeFile(join(work, path), contents);
    }
    return Object.keys(files);
  });
}

it('changes a copy, and leaves the distributor’s tree as it is', async () => {
  await changed({ 'kernel/fork.c': 'spoon\n', 'kernel/ksplice/main.c': 'core\n' });
  expect(await text('ours/kernel/fork.c')).toBe('spoon\n');
  expect(await text('ours/kernel/ksplice/main.c')).toBe('core\n');
  expect(await text('ours/Makefile')).toBe('VERSION = 6\n');
  expect(await text('theirs/kernel/fork.c')).toBe('fork\n');
  expect(await text('theirs/kernel/ksplice/main.c')).toBe('none');
});

it('takes back what an earlier change has made, and writes no file that is as it should be', async () => {
  const before = await changed({ 'kernel/fork.c': 'spoon\n', 'kernel/ksplice/main.c': 'core\n', new: 'x\n' });
  const { ino, mtimeMs } = await stat(join(folder, 'ours/kernel/ksplice/main.c'));
  const after = await changed({ 'kernel/ksplice/main.c': 'core\n' });
  expect(await text('ours/kernel/fork.c')).toBe('fork\n');
  expect(await text('ours/new')).toBe('none');
  expect(await stat(join(folder, 'ours/kernel/ksplice/main.c'))).toMatchObject({ ino, mtimeMs });
  expect(after).not.toBe(before);
  expect(await changed({ 'kernel/ksplice/main.c': 'core\n' })).toBe(after);
});
