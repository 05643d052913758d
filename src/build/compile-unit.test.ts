import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readDependencies } from './compile-unit.ts';

let directory: string;

beforeAll(async () => {
  directory = await realpath(await mkdtemp(path.join(tmpdir(), 'ksplice-list-')));
  await mkdir(path.join(directory, 'original/include'), { recursive: true });
  await mkdir(path.join(directory, 'mirror'));
  await writeFile(path.join(directory, 'original/x.h'), '');
  await symlink('../original/include', path.join(directory, 'mirror/include'));
  await writeFile(path.join(directory, 'x.d'), 'x.o: mirror/include/../x.h \\\n  other.h\n');
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

it('follows a link before it goes up: the original is seen, where it was read in place of the copy', async () => {
  const list = path.join(directory, 'x.d');
  const original = path.join(directory, 'original/x.h');
  expect((await readDependencies(list, directory)).has(original)).toBe(true);
  expect([...(await readDependencies(list, directory, new Set(['x.h'])))]).toEqual([original]);
});
