/**
 * Removing from the cache what is not used.
 *
 * Nothing may be removed under somebody's hands, and a removal that is killed half-way must not leave half a tree that
 * looks whole. So all is done while no command that uses the cache runs (cache-use.ts); and of each part the
 * stamps go first, then it gets a name that marks it as a leftover, then it goes. (A make that outlived a
 * create which was killed may write into a tree that is removed; what it leaves is the next prune's leftover.)
 */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type CachePart, readCache } from './cache-contents.ts';
import { withCacheUnused } from './cache-use.ts';

export interface PruneChoice {
  /** Parts not used for so many days. */
  readonly olderThan?: number | undefined;
  /** Parts of this kernel only. */
  readonly kernel?: string | undefined;
  /** Everything. */
  readonly all?: boolean | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * The parts to remove. Without a choice: what killed runs have left. With one, those of a kernel, those not used
 * for some days, or (both given) those that are both; leftovers always. A source tree, and its package, belong to a
 * kernel if no other kernel in the cache is built from them.
 */
export function choosePrunable(
  parts: readonly CachePart[],
  choice: PruneChoice,
  now: Date,
): readonly CachePart[] {
  const isChosen = choice.all === true || choice.kernel !== undefined || choice.olderThan !== undefined;
  const oldest = choice.olderThan === undefined ? undefined : now.getTime() - choice.olderThan * DAY_MS;
  return parts.filter((part) => {
    if (part.kind === 'other') return false;
    if (part.kind === 'leftover') return true;
    if (!isChosen) return false;
    if (oldest !== undefined && part.lastUsed.getTime() > oldest) return false;
    return choice.kernel === undefined || belongsTo(part, choice.kernel, parts);
  });
}

function belongsTo(part: CachePart, release: string, parts: readonly CachePart[]): boolean {
  if (part.release !== null || part.version === null) return part.release === release;
  const users = parts.filter((one) => one.kind === 'kernel' && one.version === part.version);
  return users.length > 0 && users.every((one) => one.release === release);
}

/**
 * Removes what is chosen, and returns it. With `dryRun` only returns it.
 * Throws BusyError, with nothing removed, if somebody uses the cache.
 */
export async function pruneCache(
  cacheDir: string,
  choice: PruneChoice & { readonly dryRun?: boolean | undefined },
  options: { readonly now: Date; readonly signal?: AbortSignal },
): Promise<readonly CachePart[]> {
  if (!existsSync(cacheDir)) return [];
  if (choice.dryRun === true) {
    return choosePrunable(await readCache(cacheDir, options.signal), choice, options.now);
  }
  return await withCacheUnused(cacheDir, async () => {
    const chosen = choosePrunable(await readCache(cacheDir, options.signal), choice, options.now);
    const removed: CachePart[] = [];
    for (const part of chosen) {
      if (options.signal?.aborted === true) break;
      await removePart(cacheDir, part);
      removed.push(part);
    }
    return removed;
  });
}

async function removePart(cacheDir: string, part: CachePart): Promise<void> {
  for (const stamp of part.stamps) await rm(path.join(cacheDir, stamp), { force: true });
  const place = path.join(cacheDir, part.path);
  // Under a name that nothing looks for; a leftover has one already.
  const doomed = part.kind === 'leftover' ? place : `${place}.partial-removed`;
  if (doomed !== place) {
    await rm(doomed, { recursive: true, force: true });
    await rename(place, doomed);
  }
  await rm(doomed, { recursive: true, force: true, maxRetries: 3 });
}
