/**
 * What can be known to fail before minutes are spent: not enough room for what will be unpacked, or another
 * compiler than the kernel's. Looked at only where a kernel is new to the cache; once its tree is prepared there is
 * little left to need.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, statfs } from 'node:fs/promises';
import { release as runningRelease } from 'node:os';
import path from 'node:path';
import { parseConfig } from '../build/kernel-config.ts';
import { findBuildTools } from '../build/required-tools.ts';
import { debianSources } from '../debian/debian-sources.ts';
import { MissingError } from '../diagnostics/error.ts';
import { formatSize } from '../report/format.ts';
import type { KernelChoice } from './kernel-parts.ts';

const MB = 1024 * 1024;

/**
 * Bytes, rounded up from Debian's 6.1: packages 170 MB, source 1.4 GB, image and headers 130 MB; a prepared tree
 * 65 MB, which grows with each unit; the copies and objects of a run. Later kernels are larger by a tenth.
 */
export const ROOM = { packages: 2000 * MB, tree: 150 * MB, run: 50 * MB } as const;

export interface MachineOptions extends KernelChoice {
  readonly cacheDir: string;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Throws MissingError naming what is needed and what was found. */
export async function checkMachine(options: MachineOptions): Promise<void> {
  const { cacheDir } = options;
  const release = options.source === undefined ? (options.kernel ?? runningRelease()) : undefined;
  const isPrepared = release !== undefined && hasPreparedTree(cacheDir, release);
  const isFetched = release === undefined || hasKernel(cacheDir, release);
  const needed = ROOM.run + (isPrepared ? 0 : ROOM.tree) + (isFetched ? 0 : ROOM.packages);
  await checkFreeSpace(cacheDir, needed);
  if (isPrepared) return;
  // A package of 30 MB tells the compiler; the source, of 140 MB and 1.4 GB unpacked, comes after that.
  const config =
    release === undefined
      ? options.config
      : (await debianSources(release, { ...options, parts: ['image'] })).config;
  const text = config === undefined ? undefined : await readFile(config, 'utf8').catch(() => undefined);
  // A configuration that is none has its own error, later.
  if (text?.includes('CONFIG_CC_VERSION_TEXT=') === true) {
    await findBuildTools(parseConfig(text));
  }
}

/** Throws MissingError if the file system of `directory` has less than `needed` bytes left for this user. */
export async function checkFreeSpace(directory: string, needed: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  const { bavail, bsize } = await statfs(directory);
  const found = bavail * bsize;
  if (found >= needed) return;
  throw new MissingError(
    'missing_tool',
    `${directory}: ${formatSize(needed)} of free space needed, found ${formatSize(found)}`,
    {
      hint: 'ksplice cache shows what is in there, ksplice cache prune removes; or let XDG_CACHE_HOME name another place',
      details: { directory, needed, found },
    },
  );
}

/** Whether some tree was prepared for the release: of which source and compiler, its user finds out. */
function hasPreparedTree(cacheDir: string, release: string): boolean {
  const parent = path.join(cacheDir, 'build');
  return (
    existsSync(parent) &&
    readdirSync(parent).some((key) => {
      const stamp = path.join(parent, key, '.ksplice', 'prepared');
      return existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === release;
    })
  );
}

/** Whether the release was got completely once. */
function hasKernel(cacheDir: string, release: string): boolean {
  const record = path.join(cacheDir, 'debian', 'kernel', release, 'version');
  if (release.includes('/') || !existsSync(record)) return false;
  const [version = ''] = readFileSync(record, 'utf8').trim().split(' ');
  return existsSync(path.join(cacheDir, 'debian', 'source', `${version}.complete`));
}
