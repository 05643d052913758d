/**
 * Files of root's own that must be there, whole, after a power failure: written beside their place, brought to the disk,
 * renamed, and the directory brought to the disk.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MissingError } from '../../diagnostics/error.ts';
import { syncToDisk } from '../sync-to-disk.ts';
import { checkTrustedDirectory } from '../trust/trusted-file.ts';

/** The file system said no: what a person can do about it. Other errors go on as they are. */
export function asUnwritable(error: unknown, file: string): unknown {
  if (!(error instanceof Error && 'syscall' in error)) return error;
  return new MissingError('missing_tool', `${file}: cannot be written (${error.message})`, {
    hint: 'installed updates are kept in /var/lib/ksplice: make room there, or mount it writable',
    cause: error,
  });
}

/** Makes `directory` below `root`, with what is missing above it, for root alone. */
export function makePrivateDirectory(root: string, directory: string): void {
  const made = mkdirSync(directory, { recursive: true, mode: 0o700 });
  checkTrustedDirectory(root, directory);
  if (made === undefined) return;
  for (let at = directory; at.length >= path.dirname(made).length && at !== root; at = path.dirname(at)) {
    syncToDisk(path.dirname(at));
  }
}

/** Mode 0600. Throws MissingError where it cannot be written, RefusedError `unsafe_file`. */
export function writeDurably(root: string, file: string, contents: string | Uint8Array): void {
  const next = `${file}.new`;
  try {
    makePrivateDirectory(root, path.dirname(file));
    rmSync(next, { force: true });
    writeFileSync(next, contents, { mode: 0o600, flag: 'wx', flush: true });
    renameSync(next, file);
    syncToDisk(path.dirname(file));
  } catch (error) {
    throw asUnwritable(error, file);
  }
}

/** Does nothing where there is none. */
export function removeDurably(file: string): void {
  try {
    rmSync(file);
    syncToDisk(path.dirname(file));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw asUnwritable(error, file);
  }
}
