/**
 * Updates that the kernel's livepatch has switched, as they are now: by /sys/kernel/livepatch/ksplice_ID while it knows
 * them (Documentation/ABI/testing/sysfs-kernel-livepatch), by their modules before and after that.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { updateModule } from '../update/update-id.ts';
import { hasEntry, type Stage } from './core-sysfs.ts';
import { readRecord } from './journal.ts';
import { isModuleLoaded, readOr } from './module-state.ts';

export const LIVEPATCH_ROOT = '/sys/kernel/livepatch';
const PREFIX = updateModule('');

/** `coming`, `leaving`: not every task has been switched. */
export type LivepatchState = 'absent' | 'coming' | 'leaving' | 'patched';

function fileOf(id: string, name: string): string {
  return path.join(LIVEPATCH_ROOT, updateModule(id), name);
}

/** How far livepatch is with an update; `absent` if it does not know it, or not any more. */
export function livepatchState(id: string): LivepatchState {
  const enabled = readOr(fileOf(id, 'enabled'), '');
  const transition = readOr(fileOf(id, 'transition'), '');
  if (enabled === '' || transition === '') return 'absent';
  if (transition === '1') return enabled === '1' ? 'coming' : 'leaving';
  return enabled === '1' ? 'patched' : 'leaving';
}

/** Whether this ID is one that livepatch has, or had; then the core knows nothing of it. */
export function isOfLivepatch(id: string): boolean {
  if (hasEntry(id) || !isModuleLoaded(updateModule(id))) return false;
  return existsSync(path.join(LIVEPATCH_ROOT, updateModule(id))) || readRecord(id)?.engine === 'livepatch';
}

/** Its stage, as that of the core's updates; one that is on its way, in whichever direction, is `preparing`. */
export function livepatchStage(id: string): Stage {
  const state = livepatchState(id);
  if (state === 'patched') return 'applied';
  return state === 'absent' ? 'reversed' : 'preparing';
}

/** IDs of all updates of which livepatch has the module, sorted. */
export function listLivepatched(): readonly string[] {
  return (existsSync('/sys/module') ? readdirSync('/sys/module') : [])
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length))
    .filter(isOfLivepatch)
    .sort();
}

/** The livepatch, of whomever, that is in transition: there is one at a time. */
export function livepatchInTransition(): string | undefined {
  const all = existsSync(LIVEPATCH_ROOT) ? readdirSync(LIVEPATCH_ROOT) : [];
  return all.find((name) => readOr(path.join(LIVEPATCH_ROOT, name, 'transition'), '0') === '1');
}

/** Has livepatch take an update back, or go on with one that it was taking back. False if it did not do so. */
export function setEnabled(id: string, enabled: boolean): boolean {
  try {
    writeFileSync(fileOf(id, 'enabled'), enabled ? '1' : '0');
    return true;
  } catch {
    // EBUSY for another transition, EINVAL if it is so already; or gone by now.
    return false;
  }
}
