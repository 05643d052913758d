/**
 * An update that has something of everything that `ksplice inspect` shows, made by create on a small tree: code of its own, of
 * an inline function of a header that becomes longer, of a macro; a new function; text that looks like HTML.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { createUpdate } from '../../src/cli/create-pipeline.ts';
import { writeUpdate } from '../../src/update/write-update.ts';
import { createCreateFixture, optionsFor } from './create-fixture.ts';

/** Sources of the tree that are others than in build-tree-fixture.ts: no function may be too short for a jump. */
const SOURCES: Readonly<Record<string, string>> = {
  'lib/sort.c': `#include <linux/kernel.h>

int sort_it(int x)
{
	printk("sorting %d", x);
	return x * 7 / 3 + 1;
}

int sort_other(int x)
{
	return x * 11;
}
`,
  'fs/one.c': '#include <linux/wide.h>\nint one_open(int x)\n{\n\treturn wide_add(x) * 77 + 5;\n}\n',
  'fs/four.c': '#include <linux/wide.h>\nint four_open(int x)\n{\n\treturn WIDE(x) * 77 + 5;\n}\n',
};

export const HOSTILE = '<img src=x onerror=window.hit=1>';

const CHANGES: readonly (readonly [file: string, from: string, to: string])[] = [
  [
    'lib/sort.c',
    'int sort_it(int x)\n{\n',
    `/* <script>window.hit = 1</script> */
static __attribute__((noinline)) int sort_fail(int x)
{
	return printk("${HOSTILE}%d", x);
}

int sort_it(int x)
{
	if (x < 0)
		return sort_fail(x);
`,
  ],
  ['include/linux/wide.h', '\treturn x + 1;\n', '\tif (x == 3)\n\t\treturn 9;\n\tx *= 5;\n\treturn x + 2;\n'],
  ['include/linux/wide.h', '#define WIDE(x) ((x) + 1)', '#define WIDE(x) ((x) + 3)'],
];

export interface InspectedFile {
  readonly directory: string;
  readonly file: string;
  readonly remove: () => Promise<void>;
}

export async function createInspectedFile(): Promise<InspectedFile> {
  const fixture = await createCreateFixture();
  for (const [name, text] of Object.entries(SOURCES)) await writeFile(path.join(fixture.source, name), text);
  let patch = 'Subject: [PATCH] sort: <b>negative</b> numbers\n\n';
  for (const name of new Set(CHANGES.map(([file]) => file))) {
    const before = await readFile(path.join(fixture.source, name), 'utf8');
    const after = CHANGES.filter(([file]) => file === name).reduce(
      (text, [, from, to]) => text.replace(from, to),
      before,
    );
    patch += createTwoFilesPatch(`a/${name}`, `b/${name}`, before, after);
  }
  await writeFile(path.join(fixture.directory, 'fix.patch'), patch);
  const { contents } = await createUpdate(
    optionsFor(fixture, {
      patch: [path.join(fixture.directory, 'fix.patch')],
      id: 'sort_fix',
      cve: ['CVE-2026-53249'],
    }),
  );
  const file = path.join(fixture.directory, 'sort_fix.ksplice');
  await writeFile(file, await writeUpdate(contents));
  return { directory: fixture.directory, file, remove: fixture.remove };
}
