/**
 * Compiles the C programs of `test/guest/` for guests.
 *
 * They are static, because a guest has no C library but the one that node brings, and small, because under
 * emulation a script in an interpreter would disturb what it is meant to watch.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FormatError, MissingError } from '../../../src/diagnostics/error.ts';

const FLAGS = ['-std=gnu11', '-O2', '-static', '-pthread', '-Wall', '-Wextra', '-Werror'] as const;
const GUEST_SOURCES = fileURLToPath(new URL('../../guest/', import.meta.url));

/** Where the guest's own sources lie. */
export function guestSource(file: string): string {
  return join(GUEST_SOURCES, file);
}

/**
 * Compiles `test/guest/NAME.c`, or finds it compiled already in the cache (same source, same flags).
 * Returns the path of the program on this machine.
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
  try {
    await promisify(execFile)('gcc', [...FLAGS, '-o', unfinished, source], {
      env: { ...process.env, LC_ALL: 'C' },
    });
    await rename(unfinished, program);
  } catch (cause) {
    await rm(unfinished, { force: true });
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw new MissingError('missing_tool', 'gcc: not found, needed to compile programs for the guest', {
        hint: 'apt-get install gcc libc6-dev',
        cause,
      });
    }
    const output = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : String(cause);
    throw new FormatError('compile_failed', `${source}: gcc failed:\n${output}`, { cause });
  }
  return program;
}
