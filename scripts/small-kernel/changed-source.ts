/**
 * A distributor's source tree with changes of our own: a copy made of hard links, in which the files that are changed are
 * files of their own.
 *
 * They are written only where they differ from what is there, so that after a change of the core make has little to do.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../../src/process/run.ts';

/** Writes files that differ from those of `source` to `folder`, under the same paths, and returns these. */
export type SourceChange = (source: string, folder: string) => Promise<readonly string[]>;

/** Writes a file of its own where there is a link, or another text. */
async function replaceFile(from: string, to: string): Promise<void> {
  const bytes = await readFile(from);
  if (existsSync(to) && bytes.equals(await readFile(to))) return;
  await rm(to, { force: true });
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, bytes);
}

/** The files as the distributor has them, where an earlier change has left them otherwise. */
async function restore(source: string, target: string, earlier: readonly string[]): Promise<void> {
  for (const file of earlier) {
    if (existsSync(join(source, file))) await replaceFile(join(source, file), join(target, file));
    else await rm(join(target, file), { force: true });
  }
}

async function linkTree(source: string, target: string): Promise<void> {
  if (existsSync(target)) return;
  await mkdir(dirname(target), { recursive: true });
  await rm(`${target}.new`, { recursive: true, force: true });
  await run(['cp', '-al', source, `${target}.new`]);
  await rename(`${target}.new`, target);
}

/**
 * Makes `target`, or brings it up to date; `list` is the file that keeps which files are changed there. Returns a digest of
 * the changes.
 */
export async function changedSource(
  source: string,
  target: string,
  list: string,
  change: SourceChange,
): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'ksplice-source-'));
  try {
    const changed = await change(source, work);
    await linkTree(source, target);
    const earlier = (await readFile(list, 'utf8').catch(() => '')).split('\n').filter((file) => file !== '');
    // Both, before anything is written: a run that is killed leaves nothing behind that the next does not know of.
    await writeFile(list, [...new Set([...earlier, ...changed]), ''].join('\n'));
    await restore(
      source,
      target,
      earlier.filter((file) => !changed.includes(file)),
    );
    const hash = createHash('sha256').update(source);
    for (const file of changed) {
      await replaceFile(join(work, file), join(target, file));
      hash.update(`${file}\0`).update(await readFile(join(work, file)));
    }
    await writeFile(list, [...changed, ''].join('\n'));
    return hash.digest('hex');
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
