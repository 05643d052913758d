/**
 * Compiles the C programs of `test/guest/` for guests.
 *
 * They are static, because a guest has no C library but the one that node brings, and small, because under
 * emulation a script in an interpreter would disturb what it is meant to watch.
 */
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FormatError } from '../../../src/diagnostics/error.ts';
import { run } from '../../../src/process/run.ts';

const FLAGS = ['-std=gnu11', '-O2', '-static', '-pthread', '-Wall', '-Wextra', '-Werror'] as const;
const GUEST_SOURCES = fileURLToPath(new URL('../../guest/', import.meta.url));

/** Where the guest's own sources lie. */
export function guestSource(file: string): string {
  return join(GUEST_SOURCES, file);
}

/**
 * Compiles `test/guest/NAME.c`, or finds it compiled already in the cache (same source, same flags).
 * Returns the path of the program on this machine. Throws CommandError `missing_tool` without gcc.
 */
export async function compileGuest(name: string, cacheDir: string): Promise<string> {
  const source = guestSource(`${name}.c`);
  const key = createHash('sha256')
    .update(FLAGS.join(' '))
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheDir, 'guest');
  const program = join(folder, `${name}-${key}`);
  try {
    await access(program);
    return program;
  } catch {
    await mkdir(folder, { recursive: true });
  }
  const unfinished = `${program}.${process.pid}`;
  const { exitCode, stderr } = await run(['gcc', ...FLAGS, '-o', unfinished, source], {
    okExitCodes: [0, 1],
  });
  if (exitCode !== 0) {
    throw new FormatError('compile_failed', `${source}: gcc failed:\n${stderr}`);
  }
  await rename(unfinished, program);
  return program;
}
