/**
 * Builds a kernel of our own: small.config and another fragment on top of allnoconfig, from a source tree that is ready.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/process/run.ts';

const SMALL = join(import.meta.dirname, 'small.config');

export interface SmallKernel {
  readonly source: string;
  readonly config: string;
  readonly image: string;
}

export interface BuildOptions {
  /** Where source/, build/ and the configuration are. */
  readonly home: string;
  /** Configuration beyond small.config. */
  readonly fragment: string;
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}

/** Where the parts of the kernel in `home` are, or would be. */
export function smallKernelIn(home: string): SmallKernel & { readonly build: string } {
  const build = join(home, 'build');
  return {
    source: join(home, 'source'),
    build,
    config: join(home, 'config'),
    image: join(build, 'arch', 'x86', 'boot', 'bzImage'),
  };
}

/** The configuration that is asked for. */
export async function smallConfig(fragment: string): Promise<string> {
  return `${await readFile(SMALL, 'utf8')}\n${await readFile(fragment, 'utf8')}`;
}

/** Builds it, or what is missing of it. */
export async function buildSmallKernel(options: BuildOptions): Promise<SmallKernel> {
  const { home, jobs, onProgress } = options;
  const parts = smallKernelIn(home);
  await mkdir(parts.build, { recursive: true });
  const wanted = join(home, 'wanted.config');
  await writeFile(wanted, await smallConfig(options.fragment));
  const make = ['make', '-C', parts.source, `O=${parts.build}`] as const;
  const logFile = join(home, 'build.log');
  await run([...make, `KCONFIG_ALLCONFIG=${wanted}`, 'allnoconfig'], { logFile });
  await checkConfig(join(parts.build, '.config'), wanted);
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
  return { source: parts.source, config: parts.config, image: parts.image };
}

/** Every option that is asked for is there: kconfig says nothing about one that has lost what it depends on. */
async function checkConfig(file: string, wantedFile: string): Promise<void> {
  const got = new Set((await readFile(file, 'utf8')).split('\n'));
  const wanted = (await readFile(wantedFile, 'utf8')).split('\n').filter((line) => line.endsWith('=y'));
  const lost = wanted.filter((line) => !got.has(line));
  if (lost.length > 0) throw new Error(`${file}: without ${lost.join(', ')}`);
}
