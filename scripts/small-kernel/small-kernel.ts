/**
 * Kernels of our own, which tests boot: a plan says what is changed in Debian's source, and what is configured.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { MissingError } from '../../src/diagnostics/error.ts';
import { buildKernel } from './build-kernel.ts';
import { changedSource, type SourceChange } from './changed-source.ts';

const SMALL = join(import.meta.dirname, 'small.config');

/** One configuration of a plan's source. */
export interface Variant {
  /** Goes to the names of its files; empty for the one that stays in make's directory. */
  readonly suffix: '' | '-module';
  /** Makes of the plan's configuration that of the variant. */
  readonly configure: (configuration: string) => string;
  readonly targets: readonly string[];
  /** What is kept of the others, below make's directory. */
  readonly keep: readonly string[];
}

export interface KernelPlan {
  /** Its folder in the cache. */
  readonly folder: string;
  /** What it is, in messages: `the debugging kernel`. */
  readonly title: string;
  /** What builds it. */
  readonly command: string;
  /** The Debian kernel whose source it is made of. */
  readonly release: string;
  /** Configuration beyond small.config. */
  readonly fragment: string;
  readonly change: SourceChange;
  /** Made one after the other of the same objects, the first of them last. */
  readonly variants: readonly [Variant, ...Variant[]];
}

/** The plan's own configuration. */
export const AS_PLANNED: Variant = {
  suffix: '',
  configure: (text) => text,
  targets: ['bzImage'],
  keep: [],
};
/** What a guest boots, below make's directory. */
export const IMAGE = 'arch/x86/boot/bzImage';

/** What `create` and a guest take. */
export interface SmallKernel {
  readonly source: string;
  readonly config: string;
  readonly image: string;
  /** Where make wrote, or what was kept of that. */
  readonly build: string;
}

function kernelIn(home: string, { suffix }: Variant): SmallKernel {
  const build = join(home, `build${suffix}`);
  return {
    source: join(home, 'source'),
    build,
    config: join(home, `config${suffix}`),
    image: join(build, IMAGE),
  };
}

/** A kernel that was built. Throws MissingError if it was not. */
export function builtKernel(
  { folder, title, command, variants }: KernelPlan,
  cacheDir: string,
  variant: Variant = variants[0],
): SmallKernel {
  const parts = kernelIn(join(cacheDir, folder), variant);
  if (!existsSync(parts.config) || !existsSync(parts.image)) {
    throw new MissingError('unknown_kernel', `${parts.image}: ${title} is not built`, { hint: command });
  }
  return parts;
}

async function configuration(plan: KernelPlan): Promise<string> {
  return `${await readFile(SMALL, 'utf8')}\n${await readFile(plan.fragment, 'utf8')}`;
}

export interface PlanOptions {
  readonly cacheDir: string;
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}

/** Builds all variants of a plan, or what is missing of them, and returns the first. */
export async function buildPlan(plan: KernelPlan, options: PlanOptions): Promise<SmallKernel> {
  const { cacheDir, jobs, onProgress } = options;
  const debian = await debianSources(plan.release, { cacheDir, parts: ['source'], onProgress });
  const home = join(cacheDir, plan.folder);
  await mkdir(home, { recursive: true });
  const [first] = plan.variants;
  const { source, build } = kernelIn(home, first);
  const stamp = join(home, 'built');
  const before = await readFile(stamp, 'utf8').catch(() => '');
  await rm(stamp, { force: true });
  const digest = await changedSource(debian.source, source, join(home, 'changed'), plan.change);
  const asked = await configuration(plan);
  const wanted = plan.variants.map((variant) => ({ variant, text: variant.configure(asked) }));
  const state = createHash('sha256').update([digest, ...wanted.map(({ text }) => text)].join('\0'));
  const now = state.digest('hex');
  const isThere = plan.variants.every((variant) => existsSync(kernelIn(home, variant).image));
  if (before !== now || !isThere) {
    for (const { variant, text } of wanted.toReversed()) {
      const parts = kernelIn(home, variant);
      await buildKernel({
        source,
        build,
        wanted: text,
        config: parts.config,
        targets: variant.targets,
        logFile: join(home, `build${variant.suffix}.log`),
        jobs,
        onProgress,
      });
      for (const file of variant.keep) {
        await mkdir(dirname(join(parts.build, file)), { recursive: true });
        await copyFile(join(build, file), join(parts.build, file));
      }
    }
    // Where create looks for what the kernel exports.
    await copyFile(join(build, 'vmlinux.symvers'), join(source, 'Module.symvers'));
  }
  await writeFile(stamp, now);
  return builtKernel(plan, cacheDir);
}
