import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltUnit, buildUnits } from '../../src/build/build-units.ts';
import type { Patch } from '../../src/build/patch/model.ts';
import { parsePatch } from '../../src/build/patch/parse-patch.ts';
import { type PreparedTree, prepareTree } from '../../src/build/tree.ts';
import { FormatError, KspliceError, NoChangeError, RefusedError } from '../../src/diagnostics/error.ts';
import { readObject } from '../../src/elf/read-object.ts';
import {
  AUTHOR_HEADERS,
  type BuildFixture,
  createBuildFixture,
  patchOf,
  snapshot,
} from './build-tree-fixture.ts';

let fixture: BuildFixture;
let tree: PreparedTree;

beforeAll(async () => {
  fixture = await createBuildFixture();
  tree = await prepareTree(fixture.options);
});

afterAll(async () => {
  await fixture.remove();
});

function build(
  patches: Patch | readonly Patch[],
  more: Partial<Parameters<typeof buildUnits>[0]> = {},
): ReturnType<typeof buildUnits> {
  return buildUnits({
    tree,
    patches: [patches].flat(),
    authorHeaders: AUTHOR_HEADERS,
    workDir: path.join(fixture.directory, 'work'),
    jobs: 2,
    ...more,
  });
}

async function buildOne(...patches: readonly Patch[]): Promise<BuiltUnit> {
  const { units } = await build(patches);
  expect(units).toHaveLength(1);
  const [unit] = units;
  if (unit === undefined) throw new Error('no unit');
  return unit;
}

function debugSections(object: Uint8Array): readonly string[] {
  return sectionNames(object).filter((name) => name.includes('debug'));
}

function sectionNames(object: Uint8Array): readonly string[] {
  return readObject(object, 'x.o').sections.map((section) => section.name);
}

async function failureOf(built: Promise<unknown>): Promise<KspliceError> {
  const error = await built.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof KspliceError) return error;
  throw new Error('no failure', { cause: error });
}

/** A patch of lib/sort.c written by hand, which need not apply. */
function returnPatch(from: string, to: string): Patch {
  return parsePatch(
    `--- a/lib/sort.c\n+++ b/lib/sort.c\n@@ -1,4 +1,4 @@\n int sort_it(int x)\n {\n-\treturn ${from};\n+\treturn ${to};\n }\n`,
    'fix.patch',
  );
}

describe('the objects of a unit', () => {
  it('are one as the distributor made it and two with sections, objtool run on all three', async () => {
    const unit = await buildOne(await patchOf(fixture, [['fs/pipe.c', 'return 0;', 'return 5;']]));
    expect(unit).toMatchObject({ path: 'fs/pipe.o', source: 'fs/pipe.c', target: 'vmlinux' });
    expect(sectionNames(unit.prePlain)).not.toContain('.text.pipe_open');
    for (const object of [unit.pre, unit.post]) expect(sectionNames(object)).toContain('.text.pipe_open');
    for (const object of [unit.prePlain, unit.pre, unit.post])
      expect(sectionNames(object)).toContain('.orc_unwind');
    expect(Buffer.from(unit.post).equals(unit.pre)).toBe(false);
  });

  it('are the same before and after, to the last byte, if the patch has no effect on code', async () => {
    const unit = await buildOne(await patchOf(fixture, [['fs/pipe.c', 'A comment', 'A remark!']]));
    expect(Buffer.from(unit.post).equals(unit.pre)).toBe(true);
    expect(Buffer.from(unit.post).includes('fs/pipe.c\0')).toBe(true);
    expect(Buffer.from(unit.post).includes(fixture.directory)).toBe(false);
  });

  it('have no debug information but source lines, and come with the types whose layout differs', async () => {
    const unit = await buildOne(
      await patchOf(fixture, [
        ['fs/pipe.c', '/* A comment of one line. */', 'struct odd { char a; int b; };'],
        ['fs/pipe.c', 'return 0;', 'return ((struct odd *)(long)x)->b;'],
      ]),
    );
    expect(debugSections(unit.prePlain)).toEqual(expect.arrayContaining(['.debug_line']));
    expect(debugSections(unit.prePlain).filter((name) => !/\.debug_line(_str)?$/.test(name))).toEqual([]);
    for (const object of [unit.pre, unit.post]) {
      expect(debugSections(object)).toEqual(expect.arrayContaining(['.debug_line']));
      expect(debugSections(object).filter((name) => !/\.debug_line(_str)?$/.test(name))).toEqual([]);
    }
    // A type that is new has no objects yet.
    expect(unit.layouts).toEqual([]);

    const { units } = await build(
      await patchOf(fixture, [['include/linux/wide.h', '\tint a;', '\tlong first;\n\tint a;']]),
    );
    const [pair] = units.flatMap(({ layouts }) => layouts);
    expect(pair).toMatchObject({
      name: 'struct pair',
      pre: [{ file: 'include/linux/wide.h', line: 1, size: 4 }],
      post: [
        { file: 'include/linux/wide.h', line: 1, size: 16, members: [{ path: 'first' }, { path: 'a' }] },
      ],
    });
  });

  it('find the headers for authors of updates, which no kernel has, where the patch asks for them', async () => {
    const unit = await buildOne(
      await patchOf(fixture, [
        ['fs/pipe.c', '#include "local.h"', '#include "local.h"\n#include <ksplice-patch.h>'],
        [
          'fs/pipe.c',
          '\treturn 0;\n}',
          '\treturn 0;\n}\nstatic void on(void) { hidden(1); }\nksplice_apply(on);',
        ],
      ]),
    );
    expect(sectionNames(unit.post)).toContain('.ksplice_call_apply');
    expect(sectionNames(unit.pre)).not.toContain('.ksplice_call_apply');
    const without = await patchOf(fixture, [
      ['fs/pipe.c', '#include "local.h"', '#include "local.h"\n#include "ksplice-patch.h"'],
    ]);
    expect(await failureOf(build(without))).toMatchObject({ code: 'compile_failed' });
  });

  it('are found where another directory makes them, and say where they come from as kbuild has it', async () => {
    const unit = await buildOne(await patchOf(fixture, [['virt/far.c', 'return FAR', 'return "now " FAR']]));
    expect(unit).toMatchObject({ path: 'virt/far.o', source: 'virt/far.c', target: 'vmlinux' });
    for (const [object, text] of [
      [unit.prePlain, 'far fs/../virt/far.c\0'],
      [unit.post, 'now far fs/../virt/far.c\0'],
    ] as const) {
      expect(Buffer.from(object).includes(text)).toBe(true);
    }
    const { units } = await build(await patchOf(fixture, [['virt/far.h', '"far "', '"farther "']]));
    expect(
      units.map(({ path: object, post }) => [object, Buffer.from(post).includes('farther fs/../virt/far.c')]),
    ).toEqual([['virt/far.o', true]]);
  });

  it('have the code that kbuild itself makes', async () => {
    const unit = await buildOne(await patchOf(fixture, [['fs/pipe.c', 'A comment', 'A remark!']]));
    const kbuilt = readObject(await readFile(path.join(tree.buildDir, 'fs/pipe.o')), 'kbuild');
    const ours = readObject(unit.prePlain, 'ours');
    for (const name of ['.text', '.rodata.str1.1', '.orc_unwind']) {
      const [theirs, own] = [kbuilt, ours].map(
        (object) => object.sections.find((one) => one.name === name)?.data,
      );
      expect(own?.length).toBeGreaterThan(0);
      expect(own).toEqual(theirs);
    }
  });

  it('come from several patches applied in order', async () => {
    const first = await patchOf(fixture, [['lib/sort.c', 'x + 1', 'x + 2']], 'first.patch');
    const second = parsePatch(
      '--- a/lib/sort.c\n+++ b/lib/sort.c\n@@ -1,4 +1,4 @@\n int sort_it(int x)\n {\n-\treturn x + 2;\n+\treturn x + 3;\n }\n',
      'second.patch',
    );
    expect((await buildOne(first, second)).path).toBe('lib/sort.o');
    await expect(build([second, first])).rejects.toThrow(
      /^second\.patch:3: lib\/sort\.c: hunk 1 does not apply/,
    );
  });

  it('are of the unit that includes a patched C file', async () => {
    const unit = await buildOne(await patchOf(fixture, [['fs/rt.c', 'rt %d', 'RT %d']]));
    expect(unit.path).toBe('fs/sched.o');
    expect(Buffer.from(unit.pre).includes('rt %d')).toBe(true);
    expect(Buffer.from(unit.post).includes('RT %d')).toBe(true);
  });

  it('tell the module that they are part of', async () => {
    const unit = await buildOne(await patchOf(fixture, [['fs/nfs.c', 'return 1', 'return 2']]));
    expect(unit).toMatchObject({ path: 'fs/nfs.o', target: 'nfs' });
  });

  it('are assembled from assembly; kbuild tells the module, which the command does not', async () => {
    const unit = await buildOne(await patchOf(fixture, [['fs/crc-core.S', 'lea STEP(', 'lea STEP+1(']]));
    expect(unit).toMatchObject({ path: 'fs/crc-core.o', source: 'fs/crc-core.S', target: 'crc_all' });
    const code = [unit.prePlain, unit.pre, unit.post].map((object) =>
      readObject(object, 'x.o').sections.find(({ name }) => name === '.text'),
    );
    const texts = [1, 1, 2].map((distance) => Buffer.from([0x48, 0x8d, 0x47, distance, 0xc3]));
    expect(code.map((section) => Buffer.from(section?.data ?? []))).toEqual(texts);
  });

  it('are of the assembly that includes a patched file of assembly', async () => {
    const unit = await buildOne(await patchOf(fixture, [['fs/glue.S', 'ret', 'nop\n\tret']]));
    expect(unit).toMatchObject({ path: 'fs/crc-core.o', source: 'fs/crc-core.S' });
    expect(unit.post).not.toEqual(unit.pre);
  });

  it('are one for each module that an object is linked into', async () => {
    const { units } = await build(await patchOf(fixture, [['fs/shared.c', 'return 1', 'return 2']]));
    expect(units.map((unit) => [unit.path, unit.target])).toEqual([
      ['fs/shared.o', 'nfs'],
      ['fs/shared.o', 'nfsd'],
    ]);
    const [one, other] = units;
    expect(other).toEqual({ ...one, target: 'nfsd' });
  });

  it('are compiled plainly after the patch, too, in modules, if whole modules are wanted', async () => {
    const patch = await patchOf(fixture, [
      ['fs/nfs.c', 'return 1', 'return 3'],
      ['fs/pipe.c', 'return 0;', 'return 6;'],
    ]);
    const { units } = await build(patch);
    expect(units.map((unit) => unit.postPlain)).toEqual([undefined, undefined]);
    const { units: whole } = await build(patch, { wholeModules: true });
    const [nfs, pipe] = whole;
    expect(pipe?.postPlain).toBeUndefined();
    expect(sectionNames(nfs?.postPlain ?? new Uint8Array())).toContain('.text');
    expect(sectionNames(nfs?.postPlain ?? new Uint8Array())).not.toContain('.text.nfs_open');
    expect(nfs?.postPlain).not.toEqual(nfs?.prePlain);
  });

  it('are made without a write to the source tree', async () => {
    const before = await snapshot(fixture.source);
    await build(await patchOf(fixture, [['fs/pipe.c', 'return 0;', 'return 6;']]));
    expect(await snapshot(fixture.source)).toEqual(before);
  });
});

describe('patches that make no update', () => {
  it('are refused with all reasons at once', async () => {
    const error = await failureOf(
      build(
        await patchOf(fixture, [
          ['fs/pipe.c', 'return 0;', 'return 7;'],
          ['lib/time.c', 'return 1', 'return 2'],
          ['fs/notes.xyz', 'a note', 'another'],
        ]),
      ),
    );
    expect(error).toBeInstanceOf(RefusedError);
    expect(error.details?.['refusals']).toEqual([
      {
        file: 'fs/notes.xyz',
        message: 'fs/notes.xyz is neither C nor known to be without effect: not supported',
      },
      {
        file: 'lib/time.c',
        message: expect.stringMatching(/^lib\/time\.c is included by arch\/x86\/entry\/vdso\/clock\.c/),
      },
    ]);
    expect(error.message).toContain('2 refusals:');
  });

  it('are refused for an object that is part of the kernel and of a module at once', async () => {
    const error = await failureOf(build(await patchOf(fixture, [['fs/half.c', 'return 1', 'return 2']])));
    expect(error).toBeInstanceOf(RefusedError);
    expect(error.message).toBe('fs/half.o is part of nfs and unix, of which nfs is a module');
  });

  it('are refused for code that the vDSO includes', async () => {
    const error = await failureOf(build(await patchOf(fixture, [['lib/time.c', 'return 1', 'return 2']])));
    expect(error.message).toMatch(
      /^lib\/time\.c is included by arch\/x86\/entry\/vdso\/clock\.c, part of the vDSO/,
    );
  });

  it('have no effect if nothing of them is in the configuration, which is said', async () => {
    const error = await failureOf(build(await patchOf(fixture, [['fs/unused.c', 'return 1', 'return 2']])));
    expect(error).toBeInstanceOf(NoChangeError);
    expect(error.details?.['notes']).toEqual(['fs/unused.c: ignored: not in this configuration']);
  });

  it('are reported with the words of the compiler and the paths of the author', async () => {
    const error = await failureOf(
      build(await patchOf(fixture, [['fs/pipe.c', 'return 0;', 'return nothing;']])),
    );
    expect(error).toBeInstanceOf(FormatError);
    expect(error.code).toBe('compile_failed');
    expect(error.message).toMatch(/^fs\/pipe\.o: does not compile with the patch:\nfs\/pipe\.c: In function/);
    expect(error.message).toContain("fs/pipe.c:16:16: error: 'nothing' undeclared");
    expect(error.message).not.toContain(fixture.directory);
  });

  it('do not apply: which hunk, or that the change is there already', async () => {
    const other = await failureOf(build(returnPatch('x + 9', 'x + 8')));
    expect(other.message).toBe('fix.patch:3: lib/sort.c: hunk 1 does not apply at line 1');
    expect(other.code).toBe('patch_does_not_apply');
    expect(other.exitCode).toBe(65);
    const already = await failureOf(build(returnPatch('x + 9', 'x + 1')));
    expect(already.hint).toContain('already');
    const nowhere = parsePatch('--- a/lib/gone.c\n+++ b/lib/gone.c\n@@ -1 +1 @@\n-a\n+b\n', 'fix.patch');
    expect((await failureOf(build(nowhere))).message).toBe(
      'fix.patch:1: lib/gone.c is not in the source tree',
    );
  });

  it('tell where a hunk went if its lines have moved', async () => {
    const moved = parsePatch(
      '--- a/fs/pipe.c\n+++ b/fs/pipe.c\n@@ -18,3 +18,3 @@\n \t\treturn hidden(x);\n-\treturn 0;\n+\treturn 4;\n }\n',
      'fix.patch',
    );
    expect((await build(moved)).notes).toEqual([
      'fix.patch: fs/pipe.c: hunk 1 applies at line 15, -3 from where it says',
    ]);
  });
});
