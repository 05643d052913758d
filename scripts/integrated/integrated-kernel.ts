/**
 * The kernel that carries the core: the test kernel's own source with the series, applied as anybody would, by patch;
 * with the core built in, and with the core as a module.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../../src/process/run.ts';
import { writeSeries } from '../../src/series/write-series.ts';
import {
  AS_PLANNED,
  buildPlan,
  builtKernel,
  IMAGE,
  type KernelPlan,
  type PlanOptions,
  type SmallKernel,
  type Variant,
} from '../small-kernel/small-kernel.ts';

const CORE = join(import.meta.dirname, '..', '..', 'core');

/** Applies the series in `tree` to the files that it changes, and returns their paths. */
async function applySeries(source: string, tree: string): Promise<readonly string[]> {
  const output = await mkdtemp(join(tmpdir(), 'ksplice-series-'));
  try {
    const author = 'Ksplice <ksplice@example.org>';
    const { files, changed } = await writeSeries({ source, coreSources: CORE, output, author, date: 0 });
    for (const file of changed) {
      await mkdir(dirname(join(tree, file)), { recursive: true });
      if (existsSync(join(source, file))) await copyFile(join(source, file), join(tree, file));
    }
    for (const file of files.slice(1)) {
      await run(['patch', '-p1', '--fuzz=0', '--no-backup-if-mismatch', '-i', join(output, file)], {
        cwd: tree,
      });
    }
    return changed;
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}

const CORE_MODULE = 'kernel/ksplice/ksplice.ko';
const RELEASE_FILE = 'include/config/kernel.release';

const AS_MODULE: Variant = {
  suffix: '-module',
  configure: (text) => text.replace('CONFIG_KSPLICE=y', 'CONFIG_KSPLICE=m'),
  targets: ['bzImage', 'modules'],
  keep: [IMAGE, CORE_MODULE, RELEASE_FILE],
};

const PLAN: KernelPlan = {
  folder: 'integrated-kernel',
  title: 'the kernel that carries the core',
  command: 'npm run integrated',
  release: '6.1.0-47-cloud-amd64',
  fragment: join(import.meta.dirname, 'integrated.config'),
  change: applySeries,
  variants: [AS_PLANNED, AS_MODULE],
};

/** The one with the core built in. Throws MissingError if it was not built yet. */
export function integratedKernelParts(cacheDir: string): SmallKernel {
  return builtKernel(PLAN, cacheDir);
}

export interface ModularKernel extends SmallKernel {
  /** `6.1.170-integrated` */
  readonly release: string;
  /** The core, ksplice.ko. */
  readonly core: string;
}

/** The one with the core as a module. Throws MissingError if it was not built yet. */
export async function modularKernelParts(cacheDir: string): Promise<ModularKernel> {
  const parts = builtKernel(PLAN, cacheDir, AS_MODULE);
  const release = await readFile(join(parts.build, RELEASE_FILE), 'utf8');
  return { ...parts, release: release.trim(), core: join(parts.build, CORE_MODULE) };
}

/** Builds both, or what is missing of them: some 10 minutes of processor time. */
export async function buildIntegratedKernel(options: PlanOptions): Promise<SmallKernel> {
  return await buildPlan(PLAN, options);
}
