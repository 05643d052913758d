/**
 * What can be said of updates that are to be switched in one stop before anything is done for the first: matching sees each
 * of them beside the others as if these were not there.
 */
import { BusyError, MissingError, UsageError } from '../diagnostics/error.ts';
import type { Update } from '../update/update.ts';
import { coreInterface } from './core-sysfs.ts';

/** KSPLICE_LIST_MAX and KSPLICE_FUNCTIONS_MAX of core/core.h. */
const UPDATES_MAX = 64;
const FUNCTIONS_MAX = 10_000;
/** From this interface on (core/ksplice.h) the core takes `apply` and `reverse` with a list. */
const LISTS_SINCE = 4;

type Together = Pick<Update, 'id' | 'units'>;

/** Throws UsageError if they are more than the core switches in one stop. */
export function checkCount(count: number): void {
  if (count <= UPDATES_MAX) return;
  throw new UsageError('usage', `${count} updates, expected at most ${UPDATES_MAX} in one command`, {
    hint: 'all updates of a command are switched in one stop: use several commands',
  });
}

/** Throws UsageError if they are too many for one stop, BusyError if two of them replace the same function. */
export function checkTogether(updates: readonly Together[]): void {
  checkCount(updates.length);
  const owners = new Map<string, string>();
  for (const { id, units } of updates) {
    for (const { path, target, functions } of units) {
      for (const { preName, owner } of functions) {
        const key = JSON.stringify([target, path, preName, owner]);
        const other = owners.get(key);
        if (other !== undefined) {
          throw new BusyError('module_busy', `${id}: ${other}, given before it, replaces ${preName}, too`, {
            hint: `apply one of them, or create ${id} again on top of the other one (create --on)`,
            details: { id, other, function: preName },
          });
        }
        owners.set(key, id);
      }
    }
  }
  if (owners.size > FUNCTIONS_MAX) {
    throw new UsageError(
      'usage',
      `${owners.size} functions in all, expected at most ${FUNCTIONS_MAX} in one command`,
      { hint: 'all updates of a command are switched in one stop: use several commands' },
    );
  }
}

/**
 * Throws MissingError if the core that is loaded switches one update at a time only, as a kernel may carry it. `ids`: of those
 * that are to change in one stop, in this order.
 */
export function checkCoreTakesLists(ids: readonly string[], verb: 'apply' | 'undo'): void {
  if (ids.length < 2) return;
  const found = coreInterface();
  if (found >= LISTS_SINCE) return;
  const inTurn =
    verb === 'apply'
      ? `apply them in turn, each by a command of its own: ${ids.join(', ')}`
      : `undo them in turn: ${ids.map((id) => `ksplice undo ${id}`).join(' && ')}`;
  throw new MissingError(
    'core_incompatible',
    `${ids.join(', ')}: cannot ${verb} them in one stop: the core has interface ${found}, ` +
      `and takes one update at a time; interface ${LISTS_SINCE} is needed for more`,
    { hint: inTurn, details: { ids, interface: found, needed: LISTS_SINCE } },
  );
}
