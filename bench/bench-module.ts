/** Compiles the kernel modules that measure: a folder of bench/ with its Kbuild file, for the kernel of a prepared tree. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runKbuild } from '../src/build/kbuild.ts';
import type { PreparedTree } from '../src/build/tree.ts';

/**
 * @param folder `empty_stop`
 * @param names of modules that its Kbuild file lists
 * @param headers the directory with the kernel's Module.symvers
 * @returns the modules, in the order of `names`
 */
export async function buildBenchModules(
  tree: PreparedTree,
  headers: string,
  folder: string,
  names: readonly string[],
): Promise<readonly Uint8Array[]> {
  const directory = await mkdtemp(join(tmpdir(), 'ksplice-bench-'));
  try {
    await cp(fileURLToPath(new URL(`./${folder}/`, import.meta.url)), directory, { recursive: true });
    await runKbuild(tree, ['modules_prepare'], { jobs: 2 });
    const symbols = `KBUILD_EXTRA_SYMBOLS=${join(headers, 'Module.symvers')}`;
    await runKbuild(tree, [`M=${directory}`, symbols, 'modules'], { jobs: 2 });
    return await Promise.all(names.map((name) => readFile(join(directory, `${name}.ko`))));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export async function buildEmptyStop(tree: PreparedTree, headers: string): Promise<Uint8Array> {
  const [module] = await buildBenchModules(tree, headers, 'empty_stop', ['empty_stop']);
  if (module === undefined) throw new Error('no module');
  return module;
}
