/**
 * undo: the switch backwards, by the same protocol, and then whatever can be taken away.
 *
 * Fixed modules go out of modprobe's sight before the switch, so that what can fail fails while nothing has changed; they
 * come back if the switch is not made.
 */
import { UsageError } from '../diagnostics/error.ts';
import { abortError, coldUpdateLoaded } from './abort-cause.ts';
import { removeUpdate } from './apply.ts';
import { changeStageLogged } from './change-stage.ts';
import type { LiveContext } from './context.ts';
import { hasEntry, type SwitchTiming, stageOf, timingOf } from './core-sysfs.ts';
import { removeFixed } from './fixed-modules.ts';
import { type HiddenModules, hideModules } from './install-modules.ts';
import { note, readRecord, unitsInMemory } from './journal.ts';
import { isModuleLoaded, srcversionOf } from './kernel-module.ts';
import { type InstalledUpdate, ModuleTree, readInstalled } from './module-directory.ts';
import { kprobesIn } from './text-patches.ts';
import { isHeldByOthers, refuseUnderOthers } from './updates-below.ts';

export interface UndoResult {
  readonly id: string;
  readonly functions: readonly string[];
  /** Undefined if nothing of it was in memory. */
  readonly timing: SwitchTiming | undefined;
  /** The module stays loaded: an address of something new in it may have been kept, or one that is on top of it stays. */
  readonly resident: boolean;
  /** Paths of fixed modules that were taken away. */
  readonly removed: readonly string[];
  /** Files in their places that somebody has altered, and that were left. */
  readonly kept: readonly string[];
  /** Fixed modules that are loaded and stay so until they are unloaded: nothing of the update was in memory. */
  readonly stillLoaded: readonly string[];
}

function unknownUpdate(id: string): UsageError {
  return new UsageError('unknown_update', `${id}: no update of this ID is applied`, {
    hint: 'ksplice view lists the applied ones',
  });
}

/** Reverses one update. The caller holds the lock. */
export async function undoUpdate(id: string, context: LiveContext): Promise<UndoResult> {
  if (!/^[a-z0-9_]{1,32}$/.test(id)) throw unknownUpdate(id);
  const tree = new ModuleTree();
  const installed = readInstalled(tree, id);
  if (hasEntry(id) && stageOf(id) === 'applied') return await undoApplied(id, context, tree, installed);
  if (installed === undefined) throw unknownUpdate(id);
  return await undoInstalled(installed, context);
}

async function undoApplied(
  id: string,
  context: LiveContext,
  tree: ModuleTree,
  installed: InstalledUpdate | undefined,
): Promise<UndoResult> {
  refuseUnderOthers(id);
  const record = readRecord(id);
  const units = record === undefined ? [] : unitsInMemory(record);
  // The core looks, too, and has the last word; here it has a name.
  const loaded = record?.skipped.find(isModuleLoaded);
  if (loaded !== undefined) throw coldUpdateLoaded(id, `the module ${loaded}`);

  const hidden = installed === undefined ? undefined : await hide(tree, installed, context);
  context.onStep('switch');
  note(id, 'undo');
  const errno = changeStageLogged(id, 'reversed', context);
  if (errno !== undefined) {
    await hidden?.restore();
    const replaced = units.flatMap(({ functions }) => functions.map(({ preName }) => preName));
    throw abortError(id, 'undo', errno, kprobesIn(replaced));
  }
  hidden?.finish();
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
    removed: hidden?.removed ?? [],
    kept: hidden?.kept ?? [],
    stillLoaded: [],
  };
}

async function hide(
  tree: ModuleTree,
  installed: InstalledUpdate,
  context: LiveContext,
): Promise<HiddenModules> {
  context.onStep('remove');
  note(installed.id, 'remove');
  return await hideModules(tree, installed);
}

/** Nothing of it is applied: all its targets were skipped, or the machine has been booted since. */
async function undoInstalled(installed: InstalledUpdate, context: LiveContext): Promise<UndoResult> {
  const { id, modules } = installed;
  context.onStep('remove');
  const { removed, kept } = await removeFixed(id);
  // What a run left that was killed before its switch.
  if (hasEntry(id) && stageOf(id) === 'preparing') await removeUpdate(id);
  const stillLoaded = modules.filter(
    ({ name, srcversion }) => isModuleLoaded(name) && srcversionOf(name) === srcversion,
  );
  return {
    id,
    functions: [],
    timing: undefined,
    resident: false,
    removed,
    kept,
    stillLoaded: stillLoaded.map(({ name }) => name),
  };
}
