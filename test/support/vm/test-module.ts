/**
 * Builds the kernel modules of `test/guest/modules/` for the test kernel, with which tests do to a guest's kernel what
 * no unmodified kernel offers to user space: load a livepatch, hold a static key on.
 *
 * Each source file is one module, made by kbuild as anybody's module outside the tree is, modpost included: the
 * loader shall see what it sees every day. The prepared tree that units are compiled in is no whole build, so the
 * checksums of what the kernel exports come from the Module.symvers of its headers package. What was built is kept in
 * the cache, under a name made of everything that it comes from.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { runKbuild } from '../../../src/build/kbuild.ts';
import { type PreparedTree, prepareTree } from '../../../src/build/tree.ts';
import { debianSources } from '../../../src/debian/debian-sources.ts';
import { withFileLock } from '../../../src/process/file-lock.ts';
import { CHECKOUT } from '../live/host-cli.ts';
import { guestSource } from './guest-program.ts';
import type { GuestFile } from './initramfs.ts';
import { TEST_RELEASE, testCacheDir } from './test-kernel.ts';

/** The whole Kbuild file of a module. No debug information: it would be fifty times the code, in every guest. */
function kbuildOf(name: string): string {
  return `obj-m := ${name}.o\nccflags-y += -g0\n`;
}

/** Where a test module lies in a guest. */
export function testModulePath(name: string): string {
  return `/root/modules/${name}.ko`;
}

/** Headers that a source names in quotes: beside it, or of the core. */
async function headersOf(source: string): Promise<readonly string[]> {
  const text = await readFile(source, 'utf8');
  return [...text.matchAll(/^#include "(\w+\.h)"$/gm)].map(([, name = '']) => {
    const beside = guestSource(`modules/${name}`);
    return existsSync(beside) ? beside : join(CHECKOUT, 'core', name);
  });
}

async function compile(tree: PreparedTree, symvers: string, name: string, ko: string): Promise<void> {
  // kbuild wants a path without symbolic links.
  const work = await realpath(await mkdtemp(join(tmpdir(), 'ksplice-module-')));
  const options = { jobs: 1, logFile: tree.logFile };
  try {
    const source = guestSource(`modules/${name}.c`);
    for (const file of [source, ...(await headersOf(source))])
      await copyFile(file, join(work, basename(file)));
    await writeFile(join(work, 'Kbuild'), kbuildOf(name));
    await withFileLock(
      tree.lockFile,
      async () => {
        // The linker script of modules: the one thing that single units do not need.
        if (!existsSync(join(tree.buildDir, 'scripts', 'module.lds'))) {
          await runKbuild(tree, ['modules_prepare'], options);
        }
        await runKbuild(tree, [`M=${work}`, `KBUILD_EXTRA_SYMBOLS=${symvers}`, 'modules'], options);
      },
      { wait: true, busyCode: 'apply_in_progress' },
    );
    const unfinished = `${ko}.${process.pid}`;
    await copyFile(join(work, `${name}.ko`), unfinished);
    await rename(unfinished, ko);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * The module `test/guest/modules/NAME.c` for the test kernel, as a file to put into a guest. Takes half a minute the
 * first time. Throws CommandError if it does not compile.
 */
export async function testModuleFile(name: string): Promise<GuestFile> {
  const cacheDir = testCacheDir();
  const kernel = await debianSources(TEST_RELEASE, { cacheDir });
  const symvers = join(kernel.headers, 'Module.symvers');
  const distribution = { name: 'Debian', version: kernel.version };
  const tree = await prepareTree({ ...kernel, distribution, cacheDir, symvers: kernel.headers, jobs: 2 });
  const source = guestSource(`modules/${name}.c`);
  const hash = createHash('sha256').update(`${tree.key}\n${kbuildOf(name)}`);
  for (const file of [source, ...(await headersOf(source)), symvers]) hash.update(await readFile(file));
  const key = hash.digest('hex').slice(0, 16);
  const folder = join(cacheDir, 'guest');
  const ko = join(folder, `${name}-${key}.ko`);
  if (!existsSync(ko)) {
    await mkdir(folder, { recursive: true });
    await compile(tree, symvers, name, ko);
  }
  return { path: testModulePath(name), from: ko };
}
