import { cacheDir } from '../debian/cache-dir.ts';
import { UsageError } from '../diagnostics/error.ts';
import { counted, formatSize } from '../report/format.ts';
import type { CachePruneFlags } from './cache-command.ts';
import { type CachePart, readCache } from './cache-contents.ts';
import { pruneCache } from './cache-prune.ts';
import type { CommonFlags, Session } from './session.ts';

/** `ksplice cache list` */
export async function listCache(session: Session, _flags: CommonFlags): Promise<void> {
  const directory = cacheDir(session.host.env);
  session.progress.step('looking through the cache');
  const parts = await readCache(directory, session.signal);
  const total = totalSize(parts);
  session.result(
    { directory, size: total, parts: parts.map(partJson) },
    `${rows(parts)}${directory}: ${counted(parts.length, 'part')}, ${formatSize(total)}\n`,
  );
}

/** `ksplice cache prune` */
export async function prune(session: Session, flags: CachePruneFlags): Promise<void> {
  const { 'older-than': olderThan, 'dry-run': dryRun, kernel, all } = flags;
  if (all === true && (kernel !== undefined || olderThan !== undefined)) {
    throw new UsageError('usage', '--all leaves nothing for --kernel or --older-than to choose', {
      hint: 'leave one of them out',
    });
  }
  const directory = cacheDir(session.host.env);
  session.progress.step('looking through the cache');
  const removed = await pruneCache(
    directory,
    { olderThan, kernel, all, dryRun },
    { now: new Date(), signal: session.signal },
  );
  session.signal.throwIfAborted();
  const size = totalSize(removed);
  const what = dryRun === true ? 'would remove' : 'removed';
  session.done(
    { directory, dryRun: dryRun === true, size, removed: removed.map(partJson) },
    `${rows(removed)}${directory}: ${what} ${counted(removed.length, 'part')}, ${formatSize(size)}\n`,
  );
}

function totalSize(parts: readonly CachePart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}

function partJson(part: CachePart): Readonly<Record<string, unknown>> {
  const { kind, path, release, version, size, lastUsed } = part;
  return { kind, path, release, version, size, lastUsed: lastUsed.toISOString() };
}

/** `source    1.4 GB  2026-11-24  debian/source/6.1.170-3`, and the kernel where the path does not say it. */
function rows(parts: readonly CachePart[]): string {
  return parts
    .map(({ kind, path, release, size, lastUsed }) => {
      const served = release === null || path.includes(release) ? '' : ` for ${release}`;
      const day = lastUsed.toISOString().slice(0, 10);
      return `${kind.padEnd(8)} ${formatSize(size).padStart(10)}  ${day}  ${path}${served}\n`;
    })
    .join('');
}
