import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildUnits } from '../../src/build/build-units.ts';
import type { Patch } from '../../src/build/patch/model.ts';
import { parsePatch } from '../../src/build/patch/parse-patch.ts';
import { type PreparedTree, prepareTree } from '../../src/build/tree.ts';
import { KspliceError, NoChangeError, RefusedError } from '../../src/diagnostics/error.ts';
import {
  AUTHOR_HEADERS,
  type BuildFixture,
  createBuildFixture,
  patchOf,
  snapshot,
} from './build-tree-fixture.ts';

const HEADER = 'include/linux/wide.h';
let fixture: BuildFixture;
let tree: PreparedTree;

beforeAll(async () => {
  fixture = await createBuildFixture();
  tree = await prepareTree(fixture.options);
});

afterAll(async () => {
  await fixture.remove();
});

function build(patches: readonly Patch[], maxUnits?: number): ReturnType<typeof buildUnits> {
  const workDir = path.join(fixture.directory, 'work');
  return buildUnits({ tree, patches, authorHeaders: AUTHOR_HEADERS, workDir, jobs: 2, maxUnits });
}

async function unitsOf(...patches: readonly Patch[]): Promise<readonly string[]> {
  return (await build(patches)).units.map((unit) => unit.path);
}

async function failureOf(...patches: readonly Patch[]): Promise<KspliceError> {
  const error = await build(patches).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof KspliceError) return error;
  throw new Error('no failure', { cause: error });
}

function newFile(name: string, ...lines: readonly string[]): string {
  return `--- /dev/null\n+++ b/${name}\n@@ -0,0 +1,${lines.length} @@\n${lines.map((line) => `+${line}\n`).join('')}`;
}

describe('the units that a header changes', () => {
  it('are those that use the inline function, of all that include it', async () => {
    const patch = await patchOf(fixture, [[HEADER, 'x + 1;', 'x + 2;']]);
    const { units, notes } = await build([patch]);
    expect(units.map((unit) => unit.path)).toEqual(['fs/one.o', 'fs/two.o']);
    for (const unit of units) expect(Buffer.from(unit.pre).equals(unit.post)).toBe(false);
    expect(notes).toContain(
      `${HEADER}: 4 units may include it; 1 have the same text after it, 1 do not use what changes, 2 are compiled`,
    );
  });

  it('are those that use the macro', async () => {
    expect(await unitsOf(await patchOf(fixture, [[HEADER, '((x) + 1)', '((x) + 3)']]))).toEqual([
      'fs/four.o',
    ]);
  });

  it('are those that use the type', async () => {
    expect(await unitsOf(await patchOf(fixture, [[HEADER, '\tint a;', '\tint b, a;']]))).toEqual([
      'fs/two.o',
    ]);
  });

  it('are from assembly, too, and tell their module', async () => {
    const { units } = await build([await patchOf(fixture, [['include/linux/step.h', 'STEP 1', 'STEP 3']])]);
    expect(units).toMatchObject([{ path: 'fs/crc-core.o', source: 'fs/crc-core.S', target: 'crc_all' }]);
    expect(Buffer.from(units[0]?.pre ?? []).equals(units[0]?.post ?? new Uint8Array())).toBe(false);
  });

  it('are none if only lines move', async () => {
    const patch = await patchOf(fixture, [[HEADER, 'struct pair', '\n\nstruct pair']]);
    expect(await failureOf(patch)).toBeInstanceOf(NoChangeError);
  });

  it('are each one unit, if its own source is patched too', async () => {
    const patch = await patchOf(fixture, [
      [HEADER, 'x + 1;', 'x + 2;'],
      ['fs/one.c', 'wide_add(x)', 'wide_add(x + 4)'],
    ]);
    expect(await unitsOf(patch)).toEqual(['fs/one.o', 'fs/two.o']);
  });

  it('are found again without a second question to kbuild, and without a write to the source', async () => {
    const before = await snapshot(fixture.source);
    const steps: string[] = [];
    const patch = await patchOf(fixture, [[HEADER, 'x + 1;', 'x + 2;']]);
    const workDir = path.join(fixture.directory, 'work');
    await buildUnits({
      tree,
      patches: [patch],
      authorHeaders: AUTHOR_HEADERS,
      workDir,
      jobs: 2,
      onProgress: (step) => steps.push(step),
    });
    expect(steps.join('\n')).not.toContain('asking kbuild');
    expect(await snapshot(fixture.source)).toEqual(before);
  });

  it('are not even looked at if far more may include it', async () => {
    const patch = await patchOf(fixture, [[HEADER, 'x + 1;', 'x + 2;']]);
    await expect(build([patch], 0)).rejects.toMatchObject({
      exitCode: 2,
      message: `${HEADER} may be included by 4 units, and at most 0 are looked at unless told otherwise`,
    });
  });

  it('are not compiled if they are more than allowed', async () => {
    const patch = await patchOf(fixture, [[HEADER, 'x + 1;', 'x + 2;']]);
    const error = await build([patch], 1).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(RefusedError);
    expect(error).toMatchObject({
      message: `${HEADER} changes 2 units, and at most 1 are compiled unless told otherwise`,
      details: { units: ['fs/one.o', 'fs/two.o'], limit: 1 },
    });
  });

  it('must not be read by another step of the build', async () => {
    const error = await failureOf(await patchOf(fixture, [['include/linux/names.h', '1', '2']]));
    expect(error.message).toBe(
      'include/linux/names.h is read by a step of the build (GEN names.h): not supported',
    );
  });

  it('must not be in the vDSO', async () => {
    const added = newFile('lib/part.h', 'int part;');
    const changed = await patchOf(fixture, [['lib/shared.h', '4', '5']]);
    expect(await unitsOf(changed)).toEqual(['fs/pipe.o']);
    expect((await failureOf(parsePatch(added, 'p'))).message).toContain('touches no code');
  });
});

describe('files that a patch brings and takes away', () => {
  it('are part of the unit that includes them', async () => {
    const changed = await patchOf(fixture, [['fs/one.c', '#include', '#include "extra.h"\n#include']]);
    const added = parsePatch(newFile('fs/extra.h', '#define EXTRA 1', 'int extra_object;'), 'new.patch');
    const { units } = await build([changed, added]);
    expect(units.map((unit) => unit.path)).toEqual(['fs/one.o']);
    expect(Buffer.from(units[0]?.post ?? []).includes('extra_object')).toBe(true);
  });

  it('are found in place of others', async () => {
    const added = newFile('include/gen.h', '#define OTHER 1');
    expect((await failureOf(parsePatch(added, 'p'))).message).toContain('does not compile with the patch');
  });

  it('are refused where they would be units', async () => {
    const error = await failureOf(parsePatch(newFile('fs/new.c', 'int x;'), 'p'));
    expect(error.message).toMatch(/^fs\/new\.c is a new file that no unit includes/);
    const gone = parsePatch(
      '--- a/lib/sort.c\n+++ /dev/null\n@@ -1,4 +0,0 @@\n-int sort_it(int x)\n-{\n-\treturn x + 1;\n-}\n',
      'p',
    );
    expect((await failureOf(gone)).message).toBe(
      'lib/sort.c is deleted, and lib/sort.o is a unit of this kernel: not supported',
    );
  });

  it('must not exist already', async () => {
    const error = await failureOf(parsePatch(newFile('lib/shared.h', 'x'), 'p'));
    expect(error.message).toBe('p:1: lib/shared.h is a new file in the patch, and exists already');
  });

  it('are missed by the units that still include them', async () => {
    const gone = parsePatch(`--- a/lib/shared.h\n+++ /dev/null\n@@ -1 +0,0 @@\n-#define SHARED 4\n`, 'p');
    expect((await failureOf(gone)).message).toMatch(/^fs\/pipe\.o: does not compile with the patch:/);
    await rm(path.join(fixture.directory, 'work'), { recursive: true, force: true });
  });
});
