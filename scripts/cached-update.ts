/**
 * Updates that the project's own programs and tests apply, made by the tool itself and kept in the cache under names made of
 * everything that they come from: patch, kernel, tool, core.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../src/process/run.ts';
import { BUNDLE_PATH } from './bundle.ts';

const ROOT = join(import.meta.dirname, '..');
const REFUSED = 2;

export interface CachedUpdateOptions {
  readonly id: string;
  readonly patch: string;
  /** The kernel that it is for, in flags of `ksplice create`. */
  readonly kernel: readonly string[];
  readonly cacheDir: string;
  readonly onProgress?: (line: string) => void;
}

/** The file, or what `create` printed under --json when it refused the patch. */
export type CachedUpdate = { readonly file: string } | { readonly refusal: string };

/** Makes the update, or finds it made. Throws CommandError when create fails otherwise than by a refusal. */
export async function cachedUpdate(options: CachedUpdateOptions): Promise<CachedUpdate> {
  const { id, patch, kernel, cacheDir, onProgress = () => undefined } = options;
  const parent = join(cacheDir, 'test-updates');
  await mkdir(parent, { recursive: true });
  const unfinished = await mkdtemp(join(parent, 'making-'));
  try {
    // Builds the bundle if a source is newer, so that what it is made of counts.
    await run([join(ROOT, 'ksplice'), '--version']);
    const key = createHash('sha256').update(JSON.stringify([id, kernel, patch]));
    for (const file of [BUNDLE_PATH, ...(await kernelSources())]) key.update(await readFile(file));
    const file = join(parent, `${id}-${key.digest('hex').slice(0, 16)}.ksplice`);
    if (existsSync(file)) return { file };
    const [patchFile, made] = [join(unfinished, `${id}.patch`), join(unfinished, 'made.ksplice')];
    await writeFile(patchFile, patch);
    const create = ['create', '--json', '--patch', patchFile, '--id', id, '-o', made];
    const { exitCode, stdout } = await run([join(ROOT, 'ksplice'), ...create, ...kernel], {
      okExitCodes: [0, REFUSED],
      onLine: (line, stream) => {
        if (stream === 'stderr') onProgress(line);
      },
    });
    if (exitCode === REFUSED) return { refusal: stdout };
    await rename(made, file);
    return { file };
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** The core, and what authors include: compiled into an update, and in no bundle. */
async function kernelSources(): Promise<readonly string[]> {
  const list = ['ls-files', '-co', '--exclude-standard', 'core', 'include'];
  const { stdout } = await run(['git', '-C', ROOT, ...list]);
  return stdout
    .split('\n')
    .filter((name) => name !== '')
    .map((name) => join(ROOT, name))
    .filter(existsSync);
}
