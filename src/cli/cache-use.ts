/**
 * Who uses the cache.
 *
 * What fills a part of the cache holds that part's lock while it does. That says nothing of who only reads: a create
 * takes its sources from a tree that was complete long ago. So everything that works in the cache holds one lock on
 * all of it, shared, from its first look to its end; and what removes from the cache takes the same lock exclusively,
 * or leaves everything where it is. A run that is killed lets go of the lock, as of any other.
 *
 * When a part was last used is the time of its stamp, which each user touches.
 */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';
import { withFileLock } from '../process/file-lock.ts';

export interface CacheUse {
  readonly cacheDir: string;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

function lockOf(cacheDir: string): string {
  return path.join(cacheDir, 'use.lock');
}

/** Runs `body` while nothing can be removed from the cache. Throws MissingError for a place where we cannot write. */
export async function withCacheInUse<T>(use: CacheUse, body: () => Promise<T>): Promise<T> {
  try {
    mkdirSync(use.cacheDir, { recursive: true });
    accessSync(use.cacheDir, constants.W_OK);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MissingError('command_failed', `cannot write to the cache ${use.cacheDir}: ${reason}`, {
      hint: 'let XDG_CACHE_HOME name a directory of yours',
      cause,
    });
  }
  return await withFileLock(lockOf(use.cacheDir), body, {
    shared: true,
    wait: true,
    busyCode: 'apply_in_progress',
    onWait: () => use.onProgress?.('waiting for another ksplice that removes from the cache'),
    signal: use.signal,
  });
}

/** Runs `body` while nobody uses the cache. Throws BusyError at once if somebody does. */
export async function withCacheUnused<T>(cacheDir: string, body: () => Promise<T>): Promise<T> {
  return await withFileLock(lockOf(cacheDir), body, {
    wait: false,
    busyCode: 'apply_in_progress',
    what: `the cache ${cacheDir}`,
  });
}

/**
 * Notes that parts of the cache are used now, by the paths that `create` has of them. Paths outside the cache (a
 * source tree of the user) are left alone.
 */
export async function markUsed(
  cacheDir: string,
  parts: { readonly source: string; readonly headers: string; readonly buildDir: string },
): Promise<void> {
  const kernel = /^(.*\/debian\/kernel\/[^/]+\/[^/]+)\/headers\//.exec(parts.headers)?.[1];
  const stamps = [
    `${parts.source}.complete`,
    path.join(parts.buildDir, '.ksplice', 'prepared'),
    ...(kernel === undefined ? [] : [path.join(kernel, 'headers.complete')]),
  ];
  const now = new Date();
  for (const stamp of stamps) {
    if (!stamp.startsWith(`${cacheDir}/`) || !existsSync(stamp)) continue;
    // Of another user's cache we may read: then nobody learns of it, which does no harm.
    await utimes(stamp, now, now).catch(() => undefined);
  }
}
