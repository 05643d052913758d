/**
 * Builds a kernel of our own: small.config and what is asked for beyond it, on top of allnoconfig, from a source tree
 * that is ready.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/process/run.ts';

export interface BuildOptions {
  readonly source: string;
  /** Where make writes. */
  readonly build: string;
  /** The configuration that is asked for. */
  readonly wanted: string;
  /** Gets the configuration that this makes. */
  readonly config: string;
  /** `bzImage`, `modules`. */
  readonly targets: readonly string[];
  readonly logFile: string;
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}

/** Builds it, or what is missing of it. */
export async function buildKernel(options: BuildOptions): Promise<void> {
  const { source, build, logFile, onProgress } = options;
  await mkdir(build, { recursive: true });
  const wanted = join(build, 'wanted.config');
  await writeFile(wanted, options.wanted);
  const make = ['make', '-C', source, `O=${build}`] as const;
  await run([...make, `KCONFIG_ALLCONFIG=${wanted}`, 'allnoconfig'], { logFile });
  await checkConfig(join(build, '.config'), options.wanted);
  onProgress(`building; make's output is in ${logFile}`);
  let objects = 0;
  await run([...make, `-j${options.jobs}`, ...options.targets], {
    logFile,
    onLine: (line) => {
      if (!/^ {2}(?:CC|AS)(?: \[M\])? /.test(line)) return;
      objects += 1;
      if (objects % 100 === 0) onProgress(`${objects} objects compiled`);
    },
  });
  await copyFile(join(build, '.config'), options.config);
}

/** Every option that is asked for is there: kconfig says nothing about one that has lost what it depends on. */
async function checkConfig(file: string, asked: string): Promise<void> {
  const got = new Set((await readFile(file, 'utf8')).split('\n'));
  const lost = asked.split('\n').filter((line) => /=[ym]$/.test(line) && !got.has(line));
  if (lost.length > 0) throw new Error(`${file}: without ${lost.join(', ')}`);
}
