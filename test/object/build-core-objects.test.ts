import { appendFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCoreObjects, type CoreObjects } from '../../src/build/core-objects.ts';
import { type PreparedTree, prepareTree } from '../../src/build/tree.ts';
import { InternalError } from '../../src/diagnostics/error.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { type BuildFixture, createBuildFixture, snapshot } from './build-tree-fixture.ts';

let fixture: BuildFixture;
let tree: PreparedTree;
let first: CoreObjects;

beforeAll(async () => {
  fixture = await createBuildFixture();
  tree = await prepareTree(fixture.options);
  first = await buildCoreObjects({ tree, coreSources: fixture.core });
});

afterAll(async () => {
  await fixture.remove();
});

describe('the core and the stub', () => {
  it('are one object each, of the parts that the Kbuild file names', () => {
    const symbols = readObject(first.core, 'core.o').symbols.map((symbol) => symbol.name);
    expect(symbols).toEqual(expect.arrayContaining(['init_module', 'stop_all', 'printk']));
    expect(Buffer.from(first.core).includes('core/main.c\0')).toBe(true);
    expect(Buffer.from(first.core).includes(fixture.directory)).toBe(false);
  });

  it('come with what the loader will compare', () => {
    expect(first.vermagic).toBe('6.1.99-test SMP mod_unload ');
  });

  it('are compiled once, and without a write to their sources', async () => {
    const before = await snapshot(fixture.core);
    const seen: string[] = [];
    const again = await buildCoreObjects({
      tree,
      coreSources: fixture.core,
      onProgress: (m) => seen.push(m),
    });
    expect(seen).toEqual([]);
    expect(again).toEqual(first);
    expect(await snapshot(fixture.core)).toEqual(before);
  });

  it('leave the sources alone that a link leads to, and nothing of the build among them', async () => {
    const link = path.join(fixture.directory, 'linked-core');
    await symlink(fixture.core, link);
    await rm(path.join(tree.buildDir, '.ksplice', 'core'), { recursive: true, force: true });
    const before = await snapshot(fixture.core);
    await buildCoreObjects({ tree, coreSources: link });
    expect(await snapshot(fixture.core)).toEqual(before);
  });

  it('are compiled again when a source changes; a mistake in them is our bug', async () => {
    await appendFile(path.join(fixture.core, 'stop.c'), 'int added(void)\n{\n\treturn 1;\n}\n');
    const changed = await buildCoreObjects({ tree, coreSources: fixture.core });
    expect(readObject(changed.core, 'core.o').symbols.map((symbol) => symbol.name)).toContain('added');
    await appendFile(path.join(fixture.core, 'stop.c'), 'int broken(void) { return nothing; }\n');
    const failed = buildCoreObjects({ tree, coreSources: fixture.core });
    await expect(failed).rejects.toThrow(InternalError);
    await expect(failed).rejects.toThrow(/core\/stop\.c:\d+:\d+: error: 'nothing' undeclared/);
  });
});
