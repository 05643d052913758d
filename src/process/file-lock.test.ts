import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BusyError } from '../diagnostics/error.ts';
import { withFileLock } from './file-lock.ts';

const NO_WAIT = { wait: false, busyCode: 'apply_in_progress' } as const;
const WAIT = { wait: true, busyCode: 'apply_in_progress' } as const;

function lockPath(): string {
  return path.join(mkdtempSync(path.join(tmpdir(), 'lock-')), 'sub', 'lock');
}

describe('withFileLock', () => {
  it('returns what the body returns, and can be taken again', async () => {
    const file = lockPath();
    expect(await withFileLock(file, async () => await Promise.resolve(1), NO_WAIT)).toBe(1);
    expect(await withFileLock(file, async () => await Promise.resolve(2), NO_WAIT)).toBe(2);
  });

  it('is released when the body throws', async () => {
    const file = lockPath();
    await expect(
      withFileLock(file, async () => await Promise.reject(new RangeError('x')), NO_WAIT),
    ).rejects.toThrow(RangeError);
    expect(await withFileLock(file, async () => await Promise.resolve('free'), NO_WAIT)).toBe('free');
  });

  it('throws BusyError with the given code instead of waiting', async () => {
    const file = lockPath();
    await withFileLock(
      file,
      async () => {
        const second = withFileLock(file, async () => await Promise.resolve(), {
          ...NO_WAIT,
          what: 'the kernel',
        });
        await expect(second).rejects.toThrow(BusyError);
        await expect(second).rejects.toMatchObject({ code: 'apply_in_progress', exitCode: 5 });
        await expect(second).rejects.toThrow(/^the kernel: in use/);
      },
      NO_WAIT,
    );
  });

  it('stops waiting when it is told to, and leaves the holder alone', async () => {
    const file = lockPath();
    const controller = new AbortController();
    await withFileLock(
      file,
      async () => {
        const waiting = withFileLock(file, async () => await Promise.resolve('in'), {
          ...WAIT,
          signal: controller.signal,
          onWait: () => {
            controller.abort();
          },
        });
        await expect(waiting).rejects.toMatchObject({ code: 'interrupted' });
        await expect(withFileLock(file, async () => await Promise.resolve(), NO_WAIT)).rejects.toThrow(
          BusyError,
        );
      },
      NO_WAIT,
    );
  });

  it('lets ten waiters in one at a time', async () => {
    const file = lockPath();
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        await withFileLock(
          file,
          async () => {
            inside += 1;
            most = Math.max(most, inside);
            await new Promise((resolve) => setTimeout(resolve, 5));
            inside -= 1;
          },
          WAIT,
        );
      }),
    );
    expect([inside, most]).toEqual([0, 1]);
  });

  it('is held by several who share it, and by none of them together with one who does not', async () => {
    const file = lockPath();
    const inside = await withFileLock(
      file,
      () =>
        withFileLock(
          file,
          async () => {
            await expect(withFileLock(file, async () => await Promise.resolve(), NO_WAIT)).rejects.toThrow(
              BusyError,
            );
            return 'both';
          },
          { ...NO_WAIT, shared: true },
        ),
      { ...NO_WAIT, shared: true },
    );
    expect(inside).toBe('both');
    await withFileLock(
      file,
      async () => {
        const second = withFileLock(file, async () => await Promise.resolve(), { ...NO_WAIT, shared: true });
        await expect(second).rejects.toThrow(BusyError);
      },
      NO_WAIT,
    );
  });

  it('goes with a holder that is killed', async () => {
    const file = lockPath();
    const module = pathToFileURL(path.join(import.meta.dirname, 'file-lock.ts')).href;
    const script = `
      const { withFileLock } = await import(${JSON.stringify(module)});
      await withFileLock(${JSON.stringify(file)}, async () => {
        console.log('held');
        await new Promise((resolve) => setTimeout(resolve, 60000));
      }, { wait: false, busyCode: 'apply_in_progress' });`;
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    await expect(withFileLock(file, async () => await Promise.resolve(), NO_WAIT)).rejects.toThrow(BusyError);
    let waited = false;
    const taken = withFileLock(file, async () => await Promise.resolve('mine'), {
      ...WAIT,
      onWait: () => {
        waited = true;
        holder.kill('SIGKILL');
      },
    });
    expect(await taken).toBe('mine');
    expect(waited).toBe(true);
  }, 20_000);

  it('says what is wrong with a lock file that cannot be opened', async () => {
    const file = '/proc/ksplice-cannot-make-this';
    await expect(withFileLock(file, async () => await Promise.resolve(), NO_WAIT)).rejects.toMatchObject({
      code: 'command_failed',
    });
  });
});
