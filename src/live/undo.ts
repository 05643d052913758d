/**
 * undo: the switch backwards, by the same protocol, and then whatever can be taken away.
 *
 * Fixed modules go out of modprobe's sight before the switch, so that what can fail fails while nothing has changed; they
 * come back if the switch is not made.
 */
import { UsageError } from '../diagnostics/error.ts';
import { abortError, coldUpdateLoaded } from './abort-cause.ts';
import { removeUpdate } from './apply.ts';
import { changeStagesLogged } from './change-stage.ts';
import { checkCoreTakesLists } from './check-together.ts';
import type { LiveContext } from './context.ts';
import { hasEntry, type SwitchTiming, stageOf, timingOf } from './core-sysfs.ts';
import { type HiddenModules, hideModules } from './install-modules.ts';
import { note, readRecord, unitsInMemory } from './journal.ts';
import { type InstalledUpdate, ModuleTree, readInstalled } from './module-directory.ts';
import { isModuleLoaded, srcversionOf } from './module-state.ts';
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

/** An update on its way back. */
interface Undoing {
  readonly id: string;
  readonly isApplied: boolean;
  readonly tree: ModuleTree;
  /** Its fixed modules that modprobe finds. */
  readonly installed: InstalledUpdate | undefined;
  readonly units: ReturnType<typeof unitsInMemory>;
}

/** Changes nothing. `earlier`: those that are undone in the same stop, and come before. */
function examine(id: string, earlier: readonly string[]): Undoing {
  if (!/^[a-z0-9_]{1,32}$/.test(id)) throw unknownUpdate(id);
  const tree = new ModuleTree();
  const installed = readInstalled(tree, id);
  const isApplied = hasEntry(id) && stageOf(id) === 'applied';
  if (!isApplied && installed === undefined) throw unknownUpdate(id);
  if (!isApplied) return { id, isApplied, tree, installed, units: [] };
  refuseUnderOthers(id, earlier);
  const record = readRecord(id);
  // The core looks, too, and has the last word; here it has a name.
  const loaded = record?.skipped.find(isModuleLoaded);
  if (loaded !== undefined) throw coldUpdateLoaded(id, `the module ${loaded}`);
  return { id, isApplied, tree, installed, units: record === undefined ? [] : unitsInMemory(record) };
}

function functionsOf({ units }: Undoing): readonly string[] {
  return units.flatMap(({ functions }) => functions.map(({ preName }) => preName));
}

function switchBack(list: readonly Undoing[], contextOf: (id: string) => LiveContext): void {
  const [first, ...others] = list.map(({ id }) => id);
  if (first === undefined) return;
  const context = contextOf([first, ...others].join(', '));
  context.onStep('switch');
  for (const { id } of list) note(id, 'undo');
  const errno = changeStagesLogged([first, ...others], 'reversed', context);
  if (errno !== undefined) {
    throw abortError([first, ...others], 'undo', errno, kprobesIn(list.flatMap(functionsOf)));
  }
  for (const { id } of list) note(id, 'undone');
}

/**
 * Reverses updates, all of them in one stop or none: one on top of another comes before it. The caller holds the lock.
 * `contextOf`: what the steps of one update report to.
 */
export async function undoUpdates(
  ids: readonly string[],
  contextOf: (id: string) => LiveContext,
): Promise<readonly UndoResult[]> {
  const list = ids.map((id, i) => examine(id, ids.slice(0, i)));
  const applied = list.filter(({ isApplied }) => isApplied);
  checkCoreTakesLists(
    applied.map(({ id }) => id),
    'undo',
  );
  const hidden = new Map<string, HiddenModules>();
  try {
    for (const one of list) {
      if (one.installed !== undefined) {
        hidden.set(one.id, await hide(one, one.installed, contextOf(one.id)));
      }
    }
    switchBack(applied, contextOf);
  } catch (error) {
    for (const each of [...hidden.values()].toReversed()) await each.restore();
    throw error;
  }
  for (const each of hidden.values()) each.finish();
  const results: UndoResult[] = [];
  for (const one of list) results.push(await takeAway(one, hidden.get(one.id), contextOf(one.id)));
  return results;
}

async function hide(
  { id, isApplied, tree }: Undoing,
  installed: InstalledUpdate,
  context: LiveContext,
): Promise<HiddenModules> {
  context.onStep('remove');
  if (isApplied) note(id, 'remove');
  return await hideModules(tree, installed);
}

/** What is left of it once it is reversed, or was not in memory. */
async function takeAway(
  one: Undoing,
  hidden: HiddenModules | undefined,
  context: LiveContext,
): Promise<UndoResult> {
  const { id, isApplied, units, installed } = one;
  const files = { removed: hidden?.removed ?? [], kept: hidden?.kept ?? [] };
  if (!isApplied) {
    // What a run left that was killed before its switch.
    if (hasEntry(id) && stageOf(id) === 'preparing') await removeUpdate(id);
    // All its targets were skipped, or the machine has been booted since.
    const stillLoaded = (installed?.modules ?? []).filter(
      ({ name, srcversion }) => isModuleLoaded(name) && srcversionOf(name) === srcversion,
    );
    const names = stillLoaded.map(({ name }) => name);
    return { id, functions: [], timing: undefined, resident: false, ...files, stillLoaded: names };
  }
  const timing = timingOf(id);
  const resident = units.some((unit) => unit.escapes.escapes) || isHeldByOthers(id);
  if (!resident) {
    context.onStep('unload');
    await removeUpdate(id);
  }
  return { id, functions: functionsOf(one), timing, resident, ...files, stillLoaded: [] };
}
