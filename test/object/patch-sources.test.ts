/** Patches out of a git work tree, and out of changed copies beside the originals; neither tree may change. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { extensionPatch, normalizeExtension } from '../../src/build/patch/extension-patch.ts';
import { gitPatches } from '../../src/build/patch/git-patches.ts';
import { parsePatch } from '../../src/build/patch/parse-patch.ts';
import type { PatchText } from '../../src/build/patch/patch-text.ts';
import { MissingError, NoChangeError, UsageError } from '../../src/diagnostics/error.ts';
import { run } from '../../src/process/run.ts';
import { snapshot } from './build-tree-fixture.ts';

let folder: string;
let tree: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ksplice patches '));
  tree = path.join(folder, 'linux');
  await put('fs/pipe.c', lines(20));
  await put('fs/exec.c', lines(5));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function lines(count: number, changed?: number, text = 'changed'): string {
  return Array.from({ length: count }, (_, at) => `${at === changed ? text : `line ${at}`}\n`).join('');
}

async function put(file: string, text: string | Uint8Array): Promise<void> {
  await mkdir(path.dirname(path.join(tree, file)), { recursive: true });
  await writeFile(path.join(tree, file), text);
}

async function git(...args: readonly string[]): Promise<string> {
  const identity = ['-c', 'user.name=An Author', '-c', 'user.email=author@example.org'];
  const { stdout } = await run(['git', ...identity, '-c', 'init.defaultBranch=main', ...args], {
    cwd: tree,
    env: { GIT_AUTHOR_DATE: '2026-05-01T00:00:00Z', GIT_COMMITTER_DATE: '2026-05-01T00:00:00Z' },
  });
  return stdout.trim();
}

async function commit(message: string): Promise<string> {
  await git('add', '-A');
  await git('commit', '-q', '--allow-empty', '-m', message);
  return await git('rev-parse', 'HEAD');
}

function text(patch: PatchText | undefined): string {
  return Buffer.from(patch?.bytes ?? []).toString('utf8');
}

describe('--git', () => {
  let base: string;

  beforeEach(async () => {
    await git('init', '-q');
    base = await commit('start');
  });

  it('gives what a commit changes, with its subject, and a quoted diff in its message is not taken for it', async () => {
    await put('fs/pipe.c', lines(20, 9));
    const fix = await commit('pipe: fix it\n\nBefore:\n--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1 +1 @@\n-a\n+b\n');
    const [patch, ...rest] = await gitPatches(tree, 'HEAD');
    expect(rest).toEqual([]);
    expect(patch?.name).toBe(`${fix.slice(0, 12)}.patch`);
    expect(text(patch)).toMatch(
      new RegExp(
        `^commit ${fix}\nAuthor: An Author <author@example.org>\nSubject: pipe: fix it\n\n {4}Before:\n {4}--- a/fs/x.c\n`,
      ),
    );
    const parsed = parsePatch(patch?.bytes ?? '', 'p');
    expect(parsed.files.map(({ kind, path: file }) => [kind, file])).toEqual([['changed', 'fs/pipe.c']]);
    expect(parsed.files[0]?.hunks[0]?.lines.filter(({ kind }) => kind !== ' ')).toEqual([
      { kind: '-', text: 'line 9', noNewline: false },
      { kind: '+', text: 'changed', noNewline: false },
    ]);
  });

  it('writes nothing, neither in the tree nor in .git, and needs nothing of it but reading', async () => {
    await put('fs/pipe.c', lines(20, 9));
    await commit('fix');
    // Files newer than the index make git want to refresh it.
    await put('fs/exec.c', lines(5));
    const before = await snapshot(tree);
    await gitPatches(tree, 'HEAD');
    await expect(gitPatches(tree, 'HEAD~1')).rejects.toThrow(UsageError);
    expect(await snapshot(tree)).toEqual(before);
  });

  it('gives the same bytes whatever the configuration and the environment say', async () => {
    await put('fs/pipe.c', lines(20, 9));
    await put('fs/na\u00efve.c', 'x\n');
    await commit('fix');
    const before = await gitPatches(tree, 'HEAD');
    for (const [key, value] of [
      ['diff.noprefix', 'true'],
      ['diff.mnemonicPrefix', 'true'],
      ['diff.context', '0'],
      ['diff.external', 'false'],
      ['diff.renames', 'false'],
      ['diff.algorithm', 'patience'],
      ['diff.indentHeuristic', 'true'],
      ['core.quotePath', 'false'],
      ['core.abbrev', '8'],
      ['color.ui', 'always'],
      ['i18n.logOutputEncoding', 'latin1'],
      ['log.showSignature', 'true'],
    ] as const) {
      await git('config', key, value);
    }
    process.env['GIT_DIR'] = '/nonexistent';
    process.env['GIT_DIFF_OPTS'] = '--unified=0';
    try {
      expect(await gitPatches(tree, 'HEAD')).toEqual(before);
    } finally {
      delete process.env['GIT_DIR'];
      delete process.env['GIT_DIFF_OPTS'];
    }
  });

  it('gives the commits of a range in order, and leaves out what changes nothing', async () => {
    await put('fs/pipe.c', lines(20, 9, 'first'));
    await commit('one');
    await commit('nothing');
    await put('fs/pipe.c', lines(20, 9, 'second'));
    await commit('two');
    const patches = await gitPatches(tree, `${base}..HEAD`);
    expect(patches.map((patch) => /^Subject: (.*)$/m.exec(text(patch))?.[1])).toEqual(['one', 'two']);
    expect(text(patches[1])).toContain('\n-first\n+second\n');
    await expect(gitPatches(tree, 'HEAD~2..HEAD~1')).rejects.toThrow(NoChangeError);
  });

  it('names renames, new and deleted files as such', async () => {
    await git('mv', 'fs/pipe.c', 'fs/tube.c');
    await put('fs/new.c', 'x\n');
    await rm(path.join(tree, 'fs/exec.c'));
    await commit('move');
    const [patch] = await gitPatches(tree, 'HEAD');
    expect(parsePatch(patch?.bytes ?? '', 'p').files.map(({ kind, path: file }) => [kind, file])).toEqual([
      ['deleted', 'fs/exec.c'],
      ['new', 'fs/new.c'],
      ['renamed', 'fs/tube.c'],
    ]);
  });

  it('refuses a merge, alone and in a range, with advice', async () => {
    await git('checkout', '-q', '-b', 'side');
    await put('fs/exec.c', lines(5, 1));
    await commit('on the side');
    await git('checkout', '-q', 'main');
    await put('fs/pipe.c', lines(20, 9));
    await commit('on main');
    await git('merge', '-q', '--no-edit', 'side');
    const merge = (await git('rev-parse', 'HEAD')).slice(0, 12);
    for (const revision of ['HEAD', `${base}..HEAD`]) {
      await expect(gitPatches(tree, revision)).rejects.toMatchObject({
        exitCode: 64,
        message: `--git ${revision}: ${merge} is a merge, which has no one patch`,
        hint: expect.stringContaining(`git diff ${merge}^1 ${merge}`),
      });
    }
  });

  it.for([
    ['nosuch', 'no such commit'],
    ['', 'no such commit'],
    ['--output=x', 'no such commit'],
    ['HEAD:fs/pipe.c', 'no such commit'],
    ['nosuch..HEAD', 'no such commit'],
    ['..HEAD', 'expected a commit, or a range A..B'],
    ['HEAD..', 'expected a commit, or a range A..B'],
    ['HEAD...HEAD', 'expected a commit, or a range A..B'],
    ['HEAD..HEAD', 'no commit lies in it'],
    ['HEAD', 'has no parent to compare it with'],
  ])('refuses %j: %s', async ([revision = '', message]) => {
    await expect(gitPatches(tree, revision)).rejects.toMatchObject({
      exitCode: 64,
      message: expect.stringContaining(message ?? ''),
    });
  });

  it('refuses a directory in a work tree', async () => {
    await expect(gitPatches(path.join(tree, 'fs'), 'HEAD')).rejects.toThrow(/is not its top/);
  });

  it('says what is missing where there is no git', async () => {
    const { PATH } = process.env;
    const bin = path.join(folder, 'bin');
    await mkdir(bin);
    await writeFile(path.join(bin, 'env'), '#!/bin/sh\nPATH= exec /usr/bin/env "$@"\n');
    await chmod(path.join(bin, 'env'), 0o755);
    process.env['PATH'] = bin;
    try {
      const failed = gitPatches(tree, 'HEAD');
      await expect(failed).rejects.toThrow(MissingError);
      await expect(failed).rejects.toMatchObject({ exitCode: 69, code: 'missing_tool' });
    } finally {
      process.env['PATH'] = PATH;
    }
  });
});

describe('--git without a repository', () => {
  it('is refused', async () => {
    const failed = gitPatches(tree, 'HEAD');
    await expect(failed).rejects.toThrow(UsageError);
    await expect(failed).rejects.toThrow(/is no work tree of git/);
    await expect(gitPatches(path.join(folder, 'none'), 'HEAD')).rejects.toThrow(/no such directory/);
  });
});

describe('--diffext', () => {
  it('gives the difference of each file and its copy, sorted, bytes as they are, and changes nothing', async () => {
    await put('fs/pipe.c.new', lines(20, 9));
    await put('fs/exec.c.new', Buffer.from(lines(5, 1, '\xe9 is no UTF-8'), 'latin1'));
    await put('lib/sort.c', 'same\n');
    await put('lib/sort.c.new', 'same\n');
    await put('.git/x.c', 'a\n');
    await put('.git/x.c.new', 'b\n');
    const before = await snapshot(tree);
    const patch = await extensionPatch(tree, 'new');
    expect(patch.name).toBe('diffext.new.patch');
    const { files } = parsePatch(patch.bytes, 'p');
    expect(files.map(({ kind, path: file }) => [kind, file])).toEqual([
      ['changed', 'fs/exec.c'],
      ['changed', 'fs/pipe.c'],
    ]);
    expect(Buffer.from(patch.bytes).includes(0xe9)).toBe(true);
    expect(await extensionPatch(tree, '.new')).toEqual(patch);
    expect(await snapshot(tree)).toEqual(before);
  });

  it('refuses where there is no copy, one without an original, and copies that change nothing', async () => {
    await expect(extensionPatch(tree, '.new')).rejects.toThrow(/no file in .* is called so/);
    await put('fs/exec.c.new', lines(5));
    await expect(extensionPatch(tree, '.new')).rejects.toThrow(NoChangeError);
    await put('fs/gone.c.new', 'x\n');
    const failed = extensionPatch(tree, '.new');
    await expect(failed).rejects.toThrow(UsageError);
    await expect(failed).rejects.toThrow('fs/gone.c.new: no fs/gone.c to compare with');
  });

  it.for(['', '.', '..', '.c', 'h', '/new', '.n*', '.new old', '../x'])(
    'takes no %j for an extension',
    (one) => {
      expect(() => normalizeExtension(one)).toThrow(UsageError);
    },
  );

  it.for([
    ['new', '.new'],
    ['.new', '.new'],
    ['-fixed', '-fixed'],
    ['~', '~'],
  ])('takes %j for %j', ([one = '', normal]) => {
    expect(normalizeExtension(one)).toBe(normal);
  });
});
