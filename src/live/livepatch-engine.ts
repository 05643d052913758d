/**
 * apply and undo with the kernel's own livepatch in place of our core: its passes, in the order of docs/engines.md.
 *
 * The module of the update enables the livepatch when it is loaded, and holds the modules that it was matched with; until
 * then nothing is touched. The journal names each pass before it begins. A run that is killed leaves a transition that
 * goes on by itself: the next run finds the update applied, or on its way, and then takes it back and starts again.
 */
import { BusyError, MatchError, RefusedError, UsageError } from '../diagnostics/error.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { linkMatchedLivepatch } from '../link/link-matched.ts';
import type { MatchedUnit } from '../link/matched-unit.ts';
import { identityDifference } from '../update/kernel-identity.ts';
import type { Update } from '../update/update.ts';
import { updateModule } from '../update/update-id.ts';
import { callFailed } from './abort-cause.ts';
import { chooseSkipped } from './choose-targets.ts';
import type { LiveContext } from './context.ts';
import { throwIfInterrupted } from './interrupted.ts';
import { note, readRecord, removeRecord, writeRecord } from './journal.ts';
import { CoreLog } from './kernel-log.ts';
import { loadModule } from './kernel-module.ts';
import { refuseLivepatched } from './livepatch-owner.ts';
import { isOfLivepatch, livepatchInTransition, livepatchState, setEnabled } from './livepatch-state.ts';
import { completeApply, completeUndo, type Transition, takeBack } from './livepatch-transition.ts';
import { matchUpdate } from './match-update.ts';
import { isModuleLoaded, srcversionOf } from './module-state.ts';
import type { PreparedUpdate } from './prepare-updates.ts';
import { runningIdentity } from './running-identity.ts';

/** The passes by name, in order. */
export const livepatchPasses = ['recover', 'match', 'link', 'load', 'transition', 'done'] as const;

export interface LivepatchOutcome {
  readonly matched: readonly MatchedUnit[];
  /** From the loading of the module to the last task. */
  readonly transitionMs: number;
}

export interface LivepatchUndone {
  readonly functions: readonly string[];
  readonly transitionMs: number;
  readonly resident: boolean;
}

interface Known extends Pick<Transition, 'id' | 'functions'> {
  readonly isResident: boolean;
}

/** What our own record says of an update that livepatch has. */
function known(id: string): Known {
  const units = readRecord(id)?.manifest.units ?? [];
  return {
    id,
    functions: units.flatMap((unit) => unit.functions.map((each) => each.preName)),
    // Once a task may have run its code, an address may be kept.
    isResident: units.some((unit) => unit.escapes.escapes),
  };
}

function busyWithAnother(id: string, other: string): BusyError {
  return new BusyError(
    'module_busy',
    `${id}: the livepatch ${other} is in transition, and there is one at a time`,
    {
      hint: `try again when cat /sys/kernel/livepatch/${other}/transition says 0`,
    },
  );
}

/**
 * What livepatch has of this update from a run before: it is applied, or it is taken away.
 * Throws RefusedError for another update of this ID, and for one whose module has to stay.
 */
export async function recoverLivepatch(
  update: Pick<Update, 'id' | 'digest'>,
  context: LiveContext,
): Promise<'nothing' | 'leftovers' | 'applied'> {
  const { id } = update;
  if (!isOfLivepatch(id)) return 'nothing';
  const record = readRecord(id);
  const state = livepatchState(id);
  if (state === 'patched') {
    if (record?.digest === update.digest) return 'applied';
    throw new RefusedError('id_taken', `${id}: another update with this ID is applied`, {
      hint: `undo it first (ksplice undo ${id}), or give this one another ID (ksplice create --id)`,
    });
  }
  const what = known(id);
  if (state !== 'absent') context.onStep('recover: takes back what an interrupted run has left');
  await takeBack({ ...what, context }, what.isResident);
  if (what.isResident) {
    throw new RefusedError(
      'id_taken',
      `${id}: undone, with its module still loaded, which livepatch does not enable again`,
      { hint: 'make the update anew with another ID (ksplice create --id), or reboot' },
    );
  }
  removeRecord(id);
  return 'leftovers';
}

/** The error for a module that was not loaded, by what its init wrote to the kernel log. */
function loadFailure(id: string, error: unknown, log: readonly string[]): unknown {
  const said = log.find((line) => line.startsWith(`${id}: `))?.slice(id.length + 2) ?? '';
  const [, hook, result] = /^hook (\S+) returned (-?\d+)$/.exec(said) ?? [];
  if (hook !== undefined) {
    const failed = { name: hook, result: Number(result) };
    return callFailed(id, 'apply', `its hook ${hook}`, failed, { id }, 'the kernel is as it was');
  }
  if (said.endsWith('has changed since it was matched')) {
    return new MatchError('no_match', `${id}: ${said}; the kernel is as it was`, {
      hint: 'a kprobe or another tool may have written to the function just now: try again',
    });
  }
  if (said.endsWith('is not where it was')) {
    return new BusyError('module_busy', `${id}: ${said}; the kernel is as it was`, { hint: 'try again' });
  }
  const other = livepatchInTransition();
  if (other !== undefined) return busyWithAnother(id, other);
  if (error instanceof Error && /Device or resource busy/.test(error.message)) {
    return new BusyError('module_busy', `${id}: ${error.message}`, {
      hint: 'something else redirects one of its functions by ftrace: dmesg names the function',
    });
  }
  return error;
}

async function loadLivepatch(id: string, name: string, bytes: Uint8Array): Promise<void> {
  using log = new CoreLog();
  try {
    await loadModule(name, bytes);
  } catch (error) {
    throw loadFailure(id, error, log.take());
  }
}

/** Targets that run as fixed modules already are a matter of the core, which watches that they stay so. */
function refuseSkipped(update: Update): void {
  const [skipped] = chooseSkipped(update, false, { isLoaded: isModuleLoaded, srcversionOf });
  if (skipped === undefined) return;
  throw new RefusedError(
    'livepatch_refused',
    `livepatch: ${update.id}: the module ${skipped.name} is loaded as the fixed one already`,
    { hint: 'apply it with the jump engine (ksplice apply --engine jump)' },
  );
}

/** Applies an update of which nothing is there. The caller has called recoverLivepatch(). */
export async function applyLivepatch(
  { update, objects }: PreparedUpdate,
  kernel: RunningKernel,
  context: LiveContext,
): Promise<LivepatchOutcome> {
  const { id } = update;
  const pass = (name: (typeof livepatchPasses)[number]): void => {
    throwIfInterrupted(context.signal);
    note(id, name);
    context.onStep(name);
  };
  const difference = identityDifference(update.kernel, runningIdentity(), 'is running');
  if (difference !== undefined) {
    throw new MatchError('no_match', `${id}: ${difference}`, {
      hint: 'create the update again for the kernel that is running',
    });
  }
  refuseSkipped(update);
  refuseLivepatched(update);
  const other = livepatchInTransition();
  if (other !== undefined) throw busyWithAnother(id, other);

  writeRecord(update, [], 'livepatch');
  let isLoaded = false;
  try {
    pass('recover');
    // Every byte of the units equal or explained, as with the core.
    pass('match');
    const matched = await matchUpdate(objects, kernel, context);
    pass('link');
    const linked = linkMatchedLivepatch(update, objects, matched, kernel);
    // The module pins what it was matched with, looks whether the code is still the same, and begins the transition.
    pass('load');
    const start = performance.now();
    await loadLivepatch(id, linked.name, linked.bytes);
    isLoaded = true;
    note(id, 'transition');
    context.onStep('transition');
    await completeApply({ ...known(id), context }, known(id).isResident);
    note(id, 'done');
    return { matched, transitionMs: performance.now() - start };
  } catch (error) {
    // A module that had to stay has its record for as long.
    if (!isLoaded || !isModuleLoaded(updateModule(id))) removeRecord(id);
    throw error;
  }
}

/** Reverses an update that livepatch has, whatever it is doing with it. */
export async function undoLivepatch(id: string, context: LiveContext): Promise<LivepatchUndone> {
  const what = known(id);
  if (livepatchState(id) === 'absent' && what.isResident) {
    throw new UsageError('unknown_update', `${id}: no update of this ID is applied`, {
      hint: 'ksplice view lists the applied ones',
    });
  }
  const transition = { ...what, context };
  context.onStep('transition');
  note(id, 'undo');
  const start = performance.now();
  if (livepatchState(id) === 'patched' && !setEnabled(id, false)) {
    throw busyWithAnother(id, livepatchInTransition() ?? updateModule(id));
  }
  if (livepatchState(id) === 'coming') await takeBack(transition, what.isResident);
  else await completeUndo(transition, what.isResident);
  note(id, 'undone');
  const transitionMs = performance.now() - start;
  if (!isModuleLoaded(updateModule(id))) removeRecord(id);
  return { functions: what.functions, transitionMs, resident: what.isResident };
}
