/**
 * Compiles all units of whole directories, as the kernel was. What is compiled and up to date stays as it is.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseCommandFile } from '../../src/build/compile-command.ts';
import { runKbuild } from '../../src/build/kbuild.ts';
import type { PreparedTree } from '../../src/build/tree.ts';
import { KspliceError } from '../../src/diagnostics/error.ts';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import { withFileLock } from '../../src/process/file-lock.ts';
import { findDirectoryObjects, type ListedObject } from '../kbuild/listed-objects.ts';
import type { CompiledUnit } from './unit-result.ts';

export interface CompiledDirectories {
  readonly units: readonly CompiledUnit[];
  /** What could not be compiled or understood, each with its reason. */
  readonly failures: readonly string[];
}

interface CompileOptions {
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}

/** `vmlinux`, or the modules that kbuild compiled the object for. Throws a text for the user. */
async function targetsOf(tree: PreparedTree, path: string): Promise<readonly string[]> {
  const file = join(tree.buildDir, dirname(path), `.${basename(path)}.cmd`);
  const command = parseCommandFile(await readFile(file, 'utf8'), path);
  return command?.module?.split(':') ?? [VMLINUX];
}

async function compile(
  tree: PreparedTree,
  objects: readonly ListedObject[],
  options: CompileOptions,
): Promise<void> {
  // -g0: debug information is most of the time, and none of the code.
  const goals = ['--keep-going', 'KCFLAGS=-g0', ...objects.map(({ path }) => path)];
  await withFileLock(
    tree.lockFile,
    async () => await runKbuild(tree, goals, { jobs: options.jobs, okExitCodes: [0, 2] }),
    {
      wait: true,
      busyCode: 'apply_in_progress',
      onWait: () => options.onProgress('waiting for another program that compiles in the same tree'),
    },
  );
}

/** A unit that two of the directories have is the first one's. */
export async function compileDirectories(
  tree: PreparedTree,
  directories: readonly string[],
  options: CompileOptions,
): Promise<CompiledDirectories> {
  const units: CompiledUnit[] = [];
  const failures: string[] = [];
  const known = new Set<string>();
  for (const directory of directories) {
    const listed = await findDirectoryObjects(tree, directory);
    const objects = listed.filter(({ path }) => !known.has(path));
    options.onProgress(`${directory}: ${objects.length} units of this configuration`);
    await compile(tree, objects, options);
    for (const { path, isLibrary } of objects) {
      known.add(path);
      const file = join(tree.buildDir, path);
      if ((await stat(file).catch(() => undefined)) === undefined) {
        failures.push(`${path}: does not compile by itself`);
        continue;
      }
      const group = isLibrary ? `library in ${directory}` : directory;
      try {
        for (const target of await targetsOf(tree, path)) units.push({ path, group, target, file });
      } catch (error) {
        if (!(error instanceof KspliceError)) throw error;
        failures.push(error.message);
      }
    }
  }
  return { units, failures };
}
