import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PreparedTree, prepareTree } from '../../src/build/tree.ts';
import { MissingError, UsageError } from '../../src/diagnostics/error.ts';
import { type BuildFixture, createBuildFixture, snapshot } from './build-tree-fixture.ts';

let fixture: BuildFixture;

beforeEach(async () => {
  fixture = await createBuildFixture();
});

afterEach(async () => {
  await fixture.remove();
});

async function preparations(tree: PreparedTree): Promise<number> {
  return (await readFile(tree.logFile, 'utf8')).split('\n').filter((line) => line === 'PREPARING ksplice')
    .length;
}

describe('preparing a tree', () => {
  it('is done once, outside the source, even when two ask at the same time', async () => {
    const before = await snapshot(fixture.source);
    const [tree, same] = await Promise.all([prepareTree(fixture.options), prepareTree(fixture.options)]);
    const again = await prepareTree(fixture.options);
    expect(same).toEqual(tree);
    expect(again).toEqual(tree);
    expect(await preparations(tree)).toBe(1);
    expect(await snapshot(fixture.source)).toEqual(before);
    expect(tree.config.get('BUILD_SALT')).toBe('""');
    expect(tree.notes).toEqual([]);
  });

  it('is done anew for another release, and when a header has changed', async () => {
    const tree = await prepareTree(fixture.options);
    expect((await prepareTree({ ...fixture.options, release: '6.1.99-other' })).key).not.toBe(tree.key);
    await writeFile(
      path.join(fixture.source, 'include/linux/kernel.h'),
      'extern int printk(char *fmt, ...);\n',
    );
    expect((await prepareTree(fixture.options)).key).not.toBe(tree.key);
  });

  it('goes on after a failure once its cause is gone', async () => {
    const makefile = path.join(fixture.source, 'Makefile');
    const text = await readFile(makefile, 'utf8');
    await writeFile(makefile, text.replace('@echo SCRIPTS', '@echo "gelf.h: error: not found" >&2; false'));
    await expect(prepareTree(fixture.options)).rejects.toThrow(
      /make prepare scripts failed .*gelf\.h: error/,
    );
    await writeFile(makefile, text);
    expect(await preparations(await prepareTree(fixture.options))).toBe(1);
  });

  it('does not let MAKEFLAGS and the like of the caller in', async () => {
    process.env['MAKEFLAGS'] = 'n';
    process.env['KBUILD_BUILD_USER'] = 'me';
    try {
      expect(await preparations(await prepareTree(fixture.options))).toBe(1);
    } finally {
      delete process.env['MAKEFLAGS'];
      delete process.env['KBUILD_BUILD_USER'];
    }
  });
});

describe('what cannot be prepared', () => {
  it('is a configuration with options that get lost', async () => {
    await fixture.remove();
    fixture = await createBuildFixture({ RUST: 'y' });
    const failed = prepareTree(fixture.options);
    await expect(failed).rejects.toThrow(MissingError);
    await expect(failed).rejects.toThrow(/CONFIG_RUST: y, not set here/);
  });

  it('is a kernel of another compiler, naming both', async () => {
    await fixture.remove();
    fixture = await createBuildFixture({ CC_VERSION_TEXT: '"gcc (Other 1.2.3) 1.2.3"' });
    await expect(prepareTree(fixture.options)).rejects.toThrow(
      /the kernel was compiled by gcc \(Other 1\.2\.3\) 1\.2\.3, here is gcc \(/,
    );
  });

  it('is a kernel whose compiler is not installed', async () => {
    await fixture.remove();
    fixture = await createBuildFixture({ CC_VERSION_TEXT: '"gcc-0 (Debian 0) 0"' });
    await expect(prepareTree(fixture.options)).rejects.toMatchObject({
      code: 'missing_tool',
      exitCode: 69,
      hint: expect.stringContaining('gcc-0'),
    });
  });

  it('is a tree that was built in place', async () => {
    await writeFile(path.join(fixture.source, '.config'), '');
    await expect(prepareTree(fixture.options)).rejects.toThrow(/was built in place: \.config is in it/);
    await rm(path.join(fixture.source, '.config'));
    await mkdir(path.join(fixture.source, 'include/config'));
    await expect(prepareTree(fixture.options)).rejects.toThrow(UsageError);
  });

  it('is a directory that holds no kernel, and a configuration that cannot be read', async () => {
    await expect(prepareTree({ ...fixture.options, source: fixture.core })).rejects.toThrow(
      /not a kernel source tree/,
    );
    await expect(prepareTree({ ...fixture.options, config: '/nonexistent' })).rejects.toThrow(UsageError);
  });
});
