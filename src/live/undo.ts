/**
 * undo: the switch backwards, by the same protocol, and then whatever can be taken away.
 */
import { UsageError } from '../diagnostics/error.ts';
import { abortError } from './abort-cause.ts';
import { removeUpdate } from './apply.ts';
import { changeStageLogged } from './change-stage.ts';
import type { LiveContext } from './context.ts';
import { hasEntry, type SwitchTiming, stageOf, timingOf } from './core-sysfs.ts';
import { note, readRecord } from './journal.ts';
import { kprobesIn } from './text-patches.ts';
import { isHeldByOthers, refuseUnderOthers } from './updates-below.ts';

export interface UndoResult {
  readonly id: string;
  readonly functions: readonly string[];
  readonly timing: SwitchTiming;
  /** The module stays loaded: an address of something new in it may have been kept, or one that is on top of it stays. */
  readonly resident: boolean;
}

function unknownUpdate(id: string): UsageError {
  return new UsageError('unknown_update', `${id}: no update of this ID is applied`, {
    hint: 'ksplice view lists the applied ones',
  });
}

/** Reverses one update. The caller holds the lock. */
export async function undoUpdate(id: string, context: LiveContext): Promise<UndoResult> {
  if (!/^[a-z0-9_]{1,32}$/.test(id) || !hasEntry(id) || stageOf(id) !== 'applied') throw unknownUpdate(id);
  refuseUnderOthers(id);
  const manifest = readRecord(id)?.manifest;
  const units = manifest?.units ?? [];
  context.onStep('switch');
  note(id, 'undo');
  const errno = changeStageLogged(id, 'reversed', context);
  if (errno !== undefined) {
    throw abortError(
      id,
      'undo',
      errno,
      kprobesIn(units.flatMap(({ functions }) => functions.map(({ preName }) => preName))),
    );
  }
  note(id, 'undone');
  const timing = timingOf(id);
  const resident = units.some((unit) => unit.escapes.escapes) || isHeldByOthers(id);
  if (!resident) {
    context.onStep('unload');
    await removeUpdate(id);
  }
  return {
    id,
    functions: units.flatMap((unit) => unit.functions.map((each) => each.preName)),
    timing,
    resident,
  };
}
