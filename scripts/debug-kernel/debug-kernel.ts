/**
 * The debugging kernel: the test kernel's own source with KASAN, lockdep, DEBUG_ATOMIC_SLEEP, DEBUG_OBJECTS, PROVE_RCU, kmemleak
 * and fault injection, and else only what the core and the guests need (small-kernel/small.config).
 *
 * Units that the torture update changes are compiled without KASAN's checks, since an update of instrumented code would
 * have to carry tables over that it has none of; the core, and all that it calls, is instrumented. That is one line in
 * each of some Makefiles, in a copy of the tree made of hard links.
 */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { MissingError } from '../../src/diagnostics/error.ts';
import { run } from '../../src/process/run.ts';
import { buildSmallKernel, type SmallKernel, smallKernelIn } from '../small-kernel/build-kernel.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
const CONFIG = join(import.meta.dirname, 'debug.config');

/** Objects of scripts/torture/hot.patch. */
const UNINSTRUMENTED = [
  'fs/file.o',
  'kernel/sched/core.o',
  'kernel/sys.o',
  'mm/filemap.o',
  'mm/swap.o',
  'net/ipv4/tcp_input.o',
  'net/ipv4/tcp_output.o',
] as const;

function homeIn(cacheDir: string): string {
  return join(cacheDir, 'debug-kernel');
}

/** Throws MissingError if it was not built yet. */
export async function debugKernelParts(cacheDir: string): Promise<SmallKernel> {
  const parts = smallKernelIn(homeIn(cacheDir));
  if (!existsSync(parts.config) || !existsSync(parts.image)) {
    throw new MissingError('unknown_kernel', `${parts.image}: the debugging kernel is not built`, {
      hint: 'npm run debug-kernel',
    });
  }
  return parts;
}

/** The source with those lines; made once. */
async function linkedSource(source: string, target: string): Promise<void> {
  if (existsSync(target)) return;
  const unfinished = `${target}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(dirname(target), { recursive: true });
  await run(['cp', '-al', source, unfinished]);
  for (const object of UNINSTRUMENTED) {
    const makefile = join(unfinished, dirname(object), 'Makefile');
    // A file of its own, so that the one in the cache stays as it is.
    const text = await readFile(makefile);
    await rm(makefile);
    await writeFile(makefile, text);
    await appendFile(makefile, `\nKASAN_SANITIZE_${object.slice(object.lastIndexOf('/') + 1)} := n\n`);
  }
  await rename(unfinished, target);
}

/** Builds it, or what is missing of it: 14 minutes of processor time. */
export async function buildDebugKernel(options: {
  readonly cacheDir: string;
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}): Promise<SmallKernel> {
  const { cacheDir, jobs, onProgress } = options;
  const debian = await debianSources(RELEASE, { cacheDir, parts: ['source'], onProgress });
  const home = homeIn(cacheDir);
  await linkedSource(debian.source, smallKernelIn(home).source);
  return await buildSmallKernel({ home, fragment: CONFIG, jobs, onProgress });
}
