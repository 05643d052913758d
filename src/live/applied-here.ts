import type { Update } from '../update/update.ts';
import { hasEntry, stageOf } from './core-sysfs.ts';
import { readRecord } from './journal.ts';
import { livepatchState } from './livepatch-state.ts';

/** Whether this very update is applied to the running kernel; another one of its ID does not count. */
export function isAppliedHere({ id, digest }: Pick<Update, 'id' | 'digest'>): boolean {
  const isByCore = hasEntry(id) && stageOf(id) === 'applied';
  return (isByCore || livepatchState(id) === 'patched') && readRecord(id)?.digest === digest;
}
