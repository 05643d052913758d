/**
 * The code that runs in the kernel, by the kernel's own measures: checkpatch.pl --strict, sparse, and the warnings of
 * `make W=1`; and the headers that authors of updates include, by the first of them. Each of them is shown a file with a
 * fault too, so that silence means something.
 */
import { cp, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareDebianTree } from '../../scripts/kbuild/debian-tree.ts';
import { runKbuild } from '../../src/build/kbuild.ts';
import type { PreparedTree } from '../../src/build/tree.ts';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { withFileLock } from '../../src/process/file-lock.ts';
import { run } from '../../src/process/run.ts';
import { CHECKOUT } from '../support/live/host-cli.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

/** sparse: a plain pointer from user space is read. gcc: a function that nobody declares. */
const FAULTY = `// SPDX-License-Identifier: GPL-2.0
#include <linux/compiler.h>

int ksplice_faulty(const char __user *text);

int ksplice_faulty(const char __user *text)
{
	return *text;
}

int ksplice_undeclared(void)
{
	return 0;
}
`;

/**
 * What checkpatch.pl takes for a fault in the headers for authors and is none: parameters of their macros are types, which
 * can have no parentheses and stand before a `*`; and the kernel's own names of attributes have not always meant the
 * same (`__section` took no string before 5.10).
 */
const OF_HEADERS = [
  'MACRO_ARG_PRECEDENCE',
  'MACRO_ARG_REUSE',
  'SPACING',
  'PREFER_DEFINED_ATTRIBUTE_MACRO',
] as const;

let tree: PreparedTree;
let work: string;

beforeAll(async () => {
  const cacheDir = testCacheDir();
  tree = await prepareDebianTree(await debianSources(TEST_RELEASE, { cacheDir }), { cacheDir });
  // kbuild wants a path without symbolic links.
  work = await realpath(await mkdtemp(join(tmpdir(), 'ksplice-core-style-')));
  await cp(join(CHECKOUT, 'core'), join(work, 'core'), { recursive: true });
  await cp(join(CHECKOUT, 'core'), join(work, 'faulty'), { recursive: true });
  await writeFile(join(work, 'faulty', 'faulty.c'), FAULTY);
});

afterAll(async () => {
  if (work !== undefined) await rm(work, { recursive: true, force: true });
});

/** What gcc and sparse say about units below `folder`. */
async function warnings(folder: string, objects: readonly string[]): Promise<readonly string[]> {
  const { stdout, stderr } = await withFileLock(
    tree.lockFile,
    async () => {
      return await runKbuild(tree, [`M=${join(work, folder)}`, 'C=2', 'W=1', ...objects], { jobs: 2 });
    },
    { wait: true, busyCode: 'apply_in_progress' },
  );
  expect(stdout.match(/^ {2}CHECK /gm)).toHaveLength(objects.length);
  return stderr.split('\n').filter((line) => /\b(?:warning|error):/.test(line));
}

async function filesOf(folder: string): Promise<readonly string[]> {
  const names = await readdir(join(CHECKOUT, folder), { recursive: true });
  return names.filter((name) => /\.[ch]$/.test(name)).map((name) => join(CHECKOUT, folder, name));
}

/** `ignored`: types of what it says. */
async function checkpatch(
  files: readonly string[],
  ignored: readonly string[] = [],
): Promise<readonly string[]> {
  const script = join(tree.source, 'scripts', 'checkpatch.pl');
  const flags = ['--no-tree', '--strict', '--terse', '--show-types', '--ignore', ignored.join(), '--file'];
  const { stdout } = await run(['perl', script, ...flags, ...files], { okExitCodes: [0, 1] });
  return stdout.split('\n').filter((line) => /: (?:ERROR|WARNING|CHECK):/.test(line));
}

describe('the core', () => {
  it('has nothing that sparse or W=1 would say', async () => {
    const kbuild = await readFile(join(CHECKOUT, 'core', 'Kbuild'), 'utf8');
    const objects = [...kbuild.replaceAll(/\\\n\s*/g, '').matchAll(/^ksplice\w*-objs := (.*)$/gm)].flatMap(
      ([, list = '']) => list.split(' '),
    );
    expect(objects).toContain('stub/update.o');
    expect(await warnings('core', objects)).toEqual([]);
  });

  it('has nothing that checkpatch.pl --strict would say', async () => {
    const files = await filesOf('core');
    expect(files.length).toBeGreaterThan(10);
    expect(await checkpatch(files)).toEqual([]);
  });
});

describe('the headers for authors', () => {
  it('have nothing that checkpatch.pl --strict would say', async () => {
    const files = await filesOf('include');
    expect(files.length).toBeGreaterThan(1);
    expect(await checkpatch(files, OF_HEADERS)).toEqual([]);
  });
});

describe('the checks of the core', () => {
  it('see an access to user space, and a function without a prototype', async () => {
    const found = (await warnings('faulty', ['faulty.o'])).join('\n');
    expect(found).toMatch(/faulty\.c:\d+:\d+: warning: dereference of noderef expression/);
    expect(found).toMatch(/no previous prototype for .ksplice_undeclared/);
  });

  it('see what is not the kernel style', async () => {
    const file = join(work, 'style.c');
    await writeFile(file, '// SPDX-License-Identifier: GPL-2.0\nint f(int a){\n  return(a);\n}\n');
    expect(await checkpatch([file])).not.toEqual([]);
    expect(await checkpatch([file], OF_HEADERS)).not.toEqual([]);
  });
});
