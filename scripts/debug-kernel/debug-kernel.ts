/**
 * The debugging kernel: the test kernel's own source with KASAN, lockdep, DEBUG_ATOMIC_SLEEP, DEBUG_OBJECTS, PROVE_RCU, kmemleak
 * and fault injection, and else only what the core and the guests need (small-kernel/small.config).
 *
 * Units that the torture update changes are compiled without KASAN's checks, since an update of instrumented code would
 * have to carry tables over that it has none of; the core, and all that it calls, is instrumented. That is one line in
 * each of some Makefiles.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  AS_PLANNED,
  buildPlan,
  builtKernel,
  type KernelPlan,
  type PlanOptions,
  type SmallKernel,
} from '../small-kernel/small-kernel.ts';

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

/** Writes the Makefiles with those lines. */
async function leaveOut(source: string, folder: string): Promise<readonly string[]> {
  const texts = new Map<string, string>();
  for (const object of UNINSTRUMENTED) {
    const makefile = join(dirname(object), 'Makefile');
    const text = texts.get(makefile) ?? (await readFile(join(source, makefile), 'utf8'));
    texts.set(makefile, `${text}\nKASAN_SANITIZE_${object.slice(object.lastIndexOf('/') + 1)} := n\n`);
  }
  for (const [makefile, text] of texts) {
    await mkdir(dirname(join(folder, makefile)), { recursive: true });
    await writeFile(join(folder, makefile), text);
  }
  return [...texts.keys()];
}

const PLAN: KernelPlan = {
  folder: 'debug-kernel',
  title: 'the debugging kernel',
  command: 'npm run debug-kernel',
  release: '6.1.0-47-cloud-amd64',
  fragment: join(import.meta.dirname, 'debug.config'),
  change: leaveOut,
  variants: [AS_PLANNED],
};

/** Throws MissingError if it was not built yet. */
export function debugKernelParts(cacheDir: string): SmallKernel {
  return builtKernel(PLAN, cacheDir);
}

/** Builds it, or what is missing of it: 14 minutes of processor time. */
export async function buildDebugKernel(options: PlanOptions): Promise<SmallKernel> {
  return await buildPlan(PLAN, options);
}
