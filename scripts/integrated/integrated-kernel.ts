/**
 * The kernel that carries the core: the test kernel's own source with the series, applied as anybody would, by patch.
 *
 * The source is a copy made of hard links, in which files that the series changes are files of their own. They are
 * written only where they differ from what is there, so that after a change of the core make has little to do.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { MissingError } from '../../src/diagnostics/error.ts';
import { run } from '../../src/process/run.ts';
import { writeSeries } from '../../src/series/write-series.ts';
import {
  buildSmallKernel,
  type SmallKernel,
  smallConfig,
  smallKernelIn,
} from '../small-kernel/build-kernel.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
const FRAGMENT = join(import.meta.dirname, 'integrated.config');
const CORE = join(import.meta.dirname, '..', '..', 'core');

function homeIn(cacheDir: string): string {
  return join(cacheDir, 'integrated-kernel');
}

/** Throws MissingError if it was not built yet. */
export function integratedKernelParts(cacheDir: string): SmallKernel {
  const { source, config, image } = smallKernelIn(homeIn(cacheDir));
  if (!existsSync(config) || !existsSync(image)) {
    throw new MissingError('unknown_kernel', `${image}: the kernel that carries the core is not built`, {
      hint: 'npm run integrated',
    });
  }
  return { source, config, image };
}

/** Applies the series in `work` to the files that it changes. Returns their paths, and a digest of the patches. */
async function patchedFiles(
  source: string,
  work: string,
): Promise<{ readonly changed: readonly string[]; readonly digest: string }> {
  const output = join(work, 'series');
  const author = 'Ksplice <ksplice@example.org>';
  const { files, changed } = await writeSeries({ source, coreSources: CORE, output, author, date: 0 });
  const tree = join(work, 'tree');
  for (const file of changed) {
    await mkdir(dirname(join(tree, file)), { recursive: true });
    if (existsSync(join(source, file))) await copyFile(join(source, file), join(tree, file));
  }
  const hash = createHash('sha256');
  for (const file of files.slice(1)) {
    await run(['patch', '-p1', '--fuzz=0', '--no-backup-if-mismatch', '-i', join(output, file)], {
      cwd: tree,
    });
    hash.update(await readFile(join(output, file)));
  }
  return { changed, digest: hash.digest('hex') };
}

/** Writes a file of its own where there is a link, or another text. */
async function replaceFile(from: string, to: string): Promise<void> {
  const bytes = await readFile(from);
  if (existsSync(to) && bytes.equals(await readFile(to))) return;
  await rm(to, { force: true });
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, bytes);
}

/** The tree as the distributor has it, where an earlier series has left it otherwise. */
async function restore(source: string, target: string, earlier: readonly string[]): Promise<void> {
  for (const file of earlier) {
    if (existsSync(join(source, file))) await replaceFile(join(source, file), join(target, file));
    else await rm(join(target, file), { force: true });
  }
}

/** Builds it, or what is missing of it: some 10 minutes of processor time. */
export async function buildIntegratedKernel(options: {
  readonly cacheDir: string;
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}): Promise<SmallKernel> {
  const { cacheDir, jobs, onProgress } = options;
  const debian = await debianSources(RELEASE, { cacheDir, parts: ['source'], onProgress });
  const home = homeIn(cacheDir);
  const { source } = smallKernelIn(home);
  const work = await mkdtemp(join(tmpdir(), 'ksplice-integrated-'));
  try {
    const { changed, digest } = await patchedFiles(debian.source, work);
    const stamp = join(home, 'built');
    const state = createHash('sha256')
      .update(digest)
      .update(await smallConfig(FRAGMENT))
      .digest('hex');
    if ((await readFile(stamp, 'utf8').catch(() => '')) === state) return integratedKernelParts(cacheDir);
    await rm(stamp, { force: true });
    if (!existsSync(source)) {
      await mkdir(home, { recursive: true });
      await rm(`${source}.new`, { recursive: true, force: true });
      await run(['cp', '-al', debian.source, `${source}.new`]);
      await rename(`${source}.new`, source);
    }
    const list = join(home, 'changed');
    const earlier = (await readFile(list, 'utf8').catch(() => '')).split('\n').filter((file) => file !== '');
    await restore(
      debian.source,
      source,
      earlier.filter((file) => !changed.includes(file)),
    );
    await writeFile(list, `${changed.join('\n')}\n`);
    for (const file of changed) await replaceFile(join(work, 'tree', file), join(source, file));
    const built = await buildSmallKernel({ home, fragment: FRAGMENT, jobs, onProgress });
    await writeFile(stamp, state);
    return built;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
