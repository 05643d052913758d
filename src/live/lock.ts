/**
 * One change at a time: every command that changes the machine holds this lock.
 */
import { mkdirSync } from 'node:fs';
import { withFileLock } from '../process/file-lock.ts';
import { LOCK_FILE, RUN_ROOT } from './paths.ts';
import { requireRoot } from './require-root.ts';

/** A second command waits for the first. MissingError not_root for anybody else than root. */
export async function withMachineLock<T>(onWait: () => void, body: () => Promise<T>): Promise<T> {
  requireRoot('change the running kernel');
  mkdirSync(RUN_ROOT, { recursive: true, mode: 0o700 });
  return await withFileLock(LOCK_FILE, body, {
    wait: true,
    busyCode: 'apply_in_progress',
    what: 'updating this kernel',
    onWait,
  });
}
