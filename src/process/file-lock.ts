/**
 * A lock between processes that no crash can leave behind.
 *
 * A file made with O_EXCL outlives a `kill -9` of its owner, and whoever then tries to decide that it is stale
 * races with the next who does. The kernel's flock() has neither problem: the lock goes with the last
 * descriptor. Node does not offer flock(), so a small helper holds it for us: flock(1) running `cat`, fed by a
 * pipe from this process. `cat` echoing a line says that the lock is held; our end of the pipe closing, by
 * intention or by death, ends `cat` and with it the lock. Only options that busybox knows as well are used.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { ErrorCode } from '../diagnostics/codes.ts';
import { BusyError, MissingError } from '../diagnostics/error.ts';
import { CommandError } from './command-error.ts';
import { guardGroup } from './process-group.ts';

export interface FileLockOptions {
  /** Wait for the holder, or throw BusyError at once. */
  readonly wait: boolean;
  /** Held together with others who ask for it so; only exclusive holders are kept out. */
  readonly shared?: boolean;
  /** The code of that BusyError. */
  readonly busyCode: ErrorCode;
  /** What the lock protects, for the message: `the update abc`. */
  readonly what?: string;
  /** Called once if there is somebody to wait for. */
  readonly onWait?: () => void;
  /** Ends the waiting; what runs in the lock is not touched. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `body` while holding a lock (exclusive, unless `shared`) on `file`, which is created (with its directory) and stays.
 * Other calls in this process count as other processes do. Do not nest on one path: it waits for itself.
 */
export async function withFileLock<T>(
  file: string,
  body: () => Promise<T>,
  options: FileLockOptions,
): Promise<T> {
  mkdirSync(path.dirname(file), { recursive: true });
  const mode = options.shared === true ? ['-s'] : [];
  let release = await acquire(file, [...mode, '-n']);
  if (release === undefined && options.wait) {
    options.onWait?.();
    release = await acquire(file, mode, options.signal);
  }
  if (release === undefined) {
    throw new BusyError(options.busyCode, `${options.what ?? file}: in use by another process`, {
      hint: `try again when it has finished; the lock is ${file}`,
    });
  }
  try {
    return await body();
  } finally {
    await release();
  }
}

/** Returns the function that releases the lock, or undefined if `-n` was given and somebody holds it. */
async function acquire(
  file: string,
  flags: readonly string[],
  signal?: AbortSignal,
): Promise<(() => Promise<void>) | undefined> {
  // Own group: a Ctrl-C on the terminal must not take the lock away while we still clean up.
  const argv = ['flock', ...flags, file, 'cat'] as const;
  const holder = spawn('flock', argv.slice(1), { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  holder.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  // Written to a helper that has given up: its exit status tells.
  holder.stdin.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve, reject) => {
    holder.once('error', (cause) => {
      reject(
        new MissingError('missing_tool', 'flock: no such program', {
          hint: 'install util-linux (or busybox)',
          cause,
        }),
      );
    });
    holder.once('close', resolve);
  });
  const unguard = guard(holder);
  const giveUp = (): void => void holder.kill('SIGTERM');
  if (signal?.aborted === true) giveUp();
  signal?.addEventListener('abort', giveUp, { once: true });
  const held = new Promise<true>((resolve) => {
    holder.stdout.once('data', () => {
      resolve(true);
    });
  });
  holder.stdin.write('held\n');
  const outcome = await Promise.race([held, ended]).catch((error: unknown) => {
    unguard();
    throw error;
  });
  signal?.removeEventListener('abort', giveUp);
  if (signal?.aborted === true) {
    holder.stdin.end();
    await ended;
    unguard();
    throw new BusyError('interrupted', `interrupted while waiting for ${file}`);
  }
  if (outcome === true) {
    return async () => {
      holder.stdin.end();
      await ended;
      unguard();
    };
  }
  unguard();
  // Both implementations exit with 1 and say nothing when the lock is taken; an unusable file has a message.
  if (outcome === 1 && flags.includes('-n') && stderr === '') {
    return undefined;
  }
  throw new CommandError({
    argv,
    code: 'command_failed',
    reason: `cannot lock ${file}`,
    status: outcome ?? undefined,
    stderr,
  });
}

function guard(holder: ChildProcess): () => void {
  return holder.pid === undefined ? () => undefined : guardGroup(holder.pid);
}
