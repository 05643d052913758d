import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyPatches } from '../../src/build/patch/apply-patch.ts';
import { parsePatch } from '../../src/build/patch/parse-patch.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ksplice-apply-'));
  await mkdir(path.join(folder, 'source', 'fs'), { recursive: true });
  await mkdir(path.join(folder, 'copies'));
  await writeFile(path.join(folder, 'source', 'fs', 'x.c'), 'one\ntwo\nthree\n');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const mail = (from: string, to: string): string =>
  `From 0123 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] ${to}\n\n---\n fs/x.c | 2 +-\n\ndiff --git a/fs/x.c b/fs/x.c\nindex 1111111..2222222 100644\n--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,3 +1,3 @@\n one\n-${from}\n+${to}\n three\n-- \n2.39.5\n\n`;

async function apply(...texts: readonly string[]): Promise<string> {
  const patches = texts.map((text, index) => parsePatch(text, `${index + 1}.patch`));
  const { paths } = await applyPatches(patches, path.join(folder, 'source'), path.join(folder, 'copies'));
  expect(paths).toEqual(['fs/x.c']);
  return await readFile(path.join(folder, 'copies', 'fs', 'x.c'), 'utf8');
}

describe('patches to the same file', () => {
  it('apply one after the other, from two files or from one mailbox', async () => {
    expect(await apply(mail('two', '2'), mail('2', 'II'))).toBe('one\nII\nthree\n');
    await rm(path.join(folder, 'copies', 'fs'), { recursive: true });
    expect(await apply(mail('two', '2') + mail('2', 'II'))).toBe('one\nII\nthree\n');
    expect(await readFile(path.join(folder, 'source', 'fs', 'x.c'), 'utf8')).toBe('one\ntwo\nthree\n');
  });

  it('in the wrong order do not apply, and say where', async () => {
    await expect(apply(mail('2', 'II') + mail('two', '2'))).rejects.toThrow(
      /^1\.patch:11: fs\/x\.c: hunk 1 does not apply at line 1/,
    );
    await expect(apply(mail('two', '2') + mail('two', '3'))).rejects.toThrow(
      /^1\.patch:29: fs\/x\.c: hunk 1 does not apply at line 1/,
    );
  });
});
