/**
 * The debugging kernel: the test kernel's own source with KASAN, lockdep, DEBUG_ATOMIC_SLEEP, DEBUG_OBJECTS, PROVE_RCU, kmemleak
 * and fault injection, and else only what the core and the guests need (debug.config).
 *
 * Units that the torture update changes are compiled without KASAN's checks, since an update of instrumented code would
 * have to carry tables over that it has none of; the core, and all that it calls, is instrumented. That is one line in
 * each of some Makefiles, in a copy of the tree made of hard links.
 */
import { existsSync } from 'node:fs';
import { appendFile, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { MissingError } from '../../src/diagnostics/error.ts';
import { run } from '../../src/process/run.ts';

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

export interface DebugKernelParts {
  readonly source: string;
  readonly config: string;
  readonly image: string;
}

function partsIn(cacheDir: string): DebugKernelParts & { readonly build: string } {
  const home = join(cacheDir, 'debug-kernel');
  const build = join(home, 'build');
  return {
    source: join(home, 'source'),
    build,
    config: join(home, 'config-debug'),
    image: join(build, 'arch', 'x86', 'boot', 'bzImage'),
  };
}

/** Throws MissingError if it was not built yet. */
export async function debugKernelParts(cacheDir: string): Promise<DebugKernelParts> {
  const parts = partsIn(cacheDir);
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
}): Promise<DebugKernelParts> {
  const { cacheDir, jobs, onProgress } = options;
  const debian = await debianSources(RELEASE, { cacheDir, parts: ['source'], onProgress });
  const parts = partsIn(cacheDir);
  await linkedSource(debian.source, parts.source);
  await mkdir(parts.build, { recursive: true });
  const make = ['make', '-C', parts.source, `O=${parts.build}`] as const;
  const logFile = join(cacheDir, 'debug-kernel', 'build.log');
  await run([...make, `KCONFIG_ALLCONFIG=${CONFIG}`, 'allnoconfig'], { logFile });
  await checkConfig(join(parts.build, '.config'));
  onProgress(`building; make's output is in ${logFile}`);
  let objects = 0;
  await run([...make, `-j${jobs}`, 'bzImage'], {
    logFile,
    onLine: (line) => {
      if (!/^ {2}(?:CC|AS) /.test(line)) return;
      objects += 1;
      if (objects % 100 === 0) onProgress(`${objects} objects compiled`);
    },
  });
  // Where create looks for what the kernel exports.
  await copyFile(join(parts.build, 'vmlinux.symvers'), join(parts.source, 'Module.symvers'));
  await copyFile(join(parts.build, '.config'), parts.config);
  return parts;
}

/** Every option that is asked for is there: kconfig says nothing about one that has lost what it depends on. */
async function checkConfig(file: string): Promise<void> {
  const got = new Set((await readFile(file, 'utf8')).split('\n'));
  const wanted = (await readFile(CONFIG, 'utf8')).split('\n').filter((line) => line.endsWith('=y'));
  const lost = wanted.filter((line) => !got.has(line));
  if (lost.length > 0) throw new Error(`${file}: without ${lost.join(', ')}`);
}
