/**
 * A lock between processes that cannot be left behind.
 *
 * Two runs for the same kernel share one build directory, and make is not made for that. A lock file
 * that says who has it outlives a killed process; flock(2) does not, but Node has no call for it. So
 * flock(1) holds the lock, and lives as long as our end of its standard input is open: when we die, in
 * whatever way, the kernel closes that, `cat` ends, and the lock is free.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { run } from '../process/run.ts';

/** How long to wait before saying that we wait. */
const QUIET_MS = 1000;

/** Runs `action` while holding the lock on `file` (created, never removed); waits as long as it takes. */
export async function withFileLock<T>(
  file: string,
  action: () => Promise<T>,
  onWait?: () => void,
  signal?: AbortSignal,
): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  const input = new PassThrough();
  const notice = setTimeout(() => onWait?.(), QUIET_MS);
  let ended: Promise<unknown> = Promise.resolve();
  try {
    await new Promise<void>((resolve, reject) => {
      ended = run(['flock', '--exclusive', file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
        input,
        onLine: (line) => {
          if (line === 'held') resolve();
        },
        ...(signal === undefined ? {} : { signal }),
      });
      ended.then(() => reject(new Error(`the lock on ${file} ended early`)), reject);
    });
    clearTimeout(notice);
    return await action();
  } finally {
    clearTimeout(notice);
    input.end();
    await ended.catch(() => undefined);
  }
}
