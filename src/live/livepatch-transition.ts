/**
 * A transition of the kernel's livepatch, followed to its end: each task is switched for itself, when it is seen to be in
 * none of the functions concerned. That can take any time, so there is a limit; then the transition is reversed, which
 * leaves every task where it was before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError } from '../diagnostics/error.ts';
import { updateModule } from '../update/update-id.ts';
import { describeConflict, listNames } from './abort-cause.ts';
import type { LiveContext } from './context.ts';
import type { Conflict } from './core-sysfs.ts';
import { unloadModule } from './kernel-module.ts';
import { type LivepatchState, livepatchState, setEnabled } from './livepatch-state.ts';
import { tasksInTransition } from './livepatch-tasks.ts';
import { isModuleLoaded } from './module-state.ts';

const POLL_MS = 50;
const SHOWN_EVERY_MS = 1000;
/** For the module's last reference, which livepatch drops in a work item behind the transition. */
const UNLOAD_MS = 10_000;
/** What there is at least for a transition that was reversed; no task has far to go. */
const BACK_MS = 60_000;

export interface Transition {
  readonly id: string;
  readonly functions: readonly string[];
  readonly context: LiveContext;
}

export type TransitionEnd =
  | { readonly kind: 'settled'; readonly milliseconds: number }
  | { readonly kind: 'timeout' | 'interrupted'; readonly conflicts: readonly Conflict[] };

const SETTLED: Readonly<Record<0 | 1, LivepatchState>> = { 0: 'absent', 1: 'patched' };

/** Waits until all tasks run the new code (1), or none does and livepatch has forgotten the update (0). */
async function follow(
  { id, functions, context }: Transition,
  target: 0 | 1,
  limitMs: number,
  isInterruptible: boolean,
): Promise<TransitionEnd> {
  const start = performance.now();
  let shown = start;
  for (;;) {
    if (livepatchState(id) === SETTLED[target]) {
      return { kind: 'settled', milliseconds: performance.now() - start };
    }
    const now = performance.now();
    const isInterrupted = isInterruptible && context.signal.aborted;
    if (isInterrupted || now - start > limitMs) {
      const conflicts = tasksInTransition(target, functions);
      return { kind: isInterrupted ? 'interrupted' : 'timeout', conflicts };
    }
    if (now - shown > SHOWN_EVERY_MS) {
      shown = now;
      const left = tasksInTransition(target, functions);
      context.onStep(`transition, ${left.length} tasks left: ${listNames(left.map(describeConflict), '; ')}`);
    }
    await sleep(POLL_MS);
  }
}

function givenUp(id: string, verb: 'apply' | 'undo', end: TransitionEnd, state: string): BusyError {
  if (end.kind !== 'timeout') {
    return new BusyError('interrupted', `${id}: interrupted; ${state}`);
  }
  const who = listNames(end.conflicts.map(describeConflict), '; ') || 'tasks that have just left it';
  return new BusyError('code_busy', `${id}: cannot ${verb}, tasks are not switched: ${who}; ${state}`, {
    hint: 'try again when these tasks have left the function, or give it more time (--wait SECONDS)',
    details: { id, cause: 'code_busy', conflicts: end.conflicts },
  });
}

/** Unloads the module, which livepatch may hold for a moment yet. */
async function unloadSettled(id: string): Promise<string | undefined> {
  const start = performance.now();
  for (;;) {
    const reason = await unloadModule(updateModule(id));
    if (reason === undefined || performance.now() - start > UNLOAD_MS) return reason;
    await sleep(POLL_MS);
  }
}

/** Takes an update away that is on its way, whichever way: none of its code is in use afterwards. */
export async function takeBack(transition: Transition, isResident: boolean): Promise<void> {
  const { id, context } = transition;
  if (livepatchState(id) === 'coming' || livepatchState(id) === 'patched') setEnabled(id, false);
  const end = await follow(transition, 0, Math.max(context.waitMs, BACK_MS), false);
  if (end.kind !== 'settled') {
    throw givenUp(id, 'undo', { kind: 'timeout', conflicts: end.conflicts }, 'it is still on its way back');
  }
  if (isResident || !isModuleLoaded(updateModule(id))) return;
  const reason = await unloadSettled(id);
  if (reason === undefined) return;
  throw new BusyError('module_busy', `${id}: not in force, but its module cannot be unloaded: ${reason}`, {
    hint: `lsmod tells who uses it; then rmmod ${updateModule(id)}`,
  });
}

/** Follows an apply, and takes it back when its time is over or somebody interrupts. Returns milliseconds. */
export async function completeApply(transition: Transition, isResident: boolean): Promise<number> {
  const { id, context } = transition;
  const end = await follow(transition, 1, context.waitMs, true);
  if (end.kind === 'settled') return end.milliseconds;
  await takeBack(transition, isResident);
  throw givenUp(id, 'apply', end, 'the kernel is as it was');
}

/** Follows an undo that has begun, and goes back to the new code when its time is over. Returns milliseconds. */
export async function completeUndo(transition: Transition, isResident: boolean): Promise<number> {
  const { id, context } = transition;
  const end = await follow(transition, 0, context.waitMs, true);
  if (end.kind !== 'settled') {
    if (setEnabled(id, true)) {
      const back = await follow(transition, 1, BACK_MS, false);
      const state = back.kind === 'settled' ? 'the update is still applied' : 'it is still on its way back';
      throw givenUp(id, 'undo', end, state);
    }
    // It has come to its end meanwhile.
  }
  await takeBack(transition, isResident);
  return end.kind === 'settled' ? end.milliseconds : context.waitMs;
}
