/**
 * The update that is applied again and again: a line in each of some functions that every program calls all the time, and
 * that no thread sleeps in. It changes nothing but for a question that nobody else asks (getpriority() of process
 * 2000000000), by which the program of the cycles sees whose code runs.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedUpdate } from '../cached-update.ts';

const PATCH = join(import.meta.dirname, 'hot.patch');

/** The kernel that it is for, in flags of `ksplice create`. */
export interface HotUpdateOptions {
  readonly kernel: readonly string[];
  readonly cacheDir: string;
  /** Files of the kernel to change; all of the patch unless told. `kernel/sys.c` must be one of them. */
  readonly files?: readonly string[];
  readonly onProgress?: (line: string) => void;
}

/** The parts of the patch for `files`. Throws for a file that it does not change. */
export function partsOfPatch(patch: string, files: readonly string[] | undefined): string {
  if (files === undefined) return patch;
  const parts = patch.split(/^(?=--- a\/)/m);
  return files
    .map((file) => {
      const part = parts.find((each) => each.startsWith(`--- a/${file}\n`));
      if (part === undefined) throw new Error(`${PATCH}: does not change ${file}`);
      return part;
    })
    .join('');
}

/** Path of the update. Made once for each patch, kernel and state of the tool; a minute or two. */
export async function hotUpdate(options: HotUpdateOptions): Promise<string> {
  const { files, ...rest } = options;
  const patch = partsOfPatch(await readFile(PATCH, 'utf8'), files);
  const made = await cachedUpdate({ ...rest, id: 'torture', patch });
  if ('refusal' in made) throw new Error(`${PATCH}: refused: ${made.refusal}`);
  return made.file;
}
