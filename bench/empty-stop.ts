/** Compiles the module that measures an empty stop_machine(), for the kernel of a prepared tree. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runKbuild } from '../src/build/kbuild.ts';
import type { PreparedTree } from '../src/build/tree.ts';

const SOURCES = fileURLToPath(new URL('./empty_stop/', import.meta.url));

/** `headers`: the directory with the kernel's Module.symvers. */
export async function buildEmptyStop(tree: PreparedTree, headers: string): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'ksplice-bench-'));
  try {
    await cp(SOURCES, directory, { recursive: true });
    await runKbuild(tree, ['modules_prepare'], { jobs: 2 });
    const symbols = `KBUILD_EXTRA_SYMBOLS=${join(headers, 'Module.symvers')}`;
    await runKbuild(tree, [`M=${directory}`, symbols, 'modules'], { jobs: 2 });
    return await readFile(join(directory, 'empty_stop.ko'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
