/**
 * The order of updates that are on top of one another: the lower one is applied before the upper one, and undone after it.
 * The core keeps it (ksplice_out_of_order(), core/pins.c); here it is told before anything is tried, by name. In one stop the
 * lower one comes first at apply, the upper one at undo.
 */
import { BusyError, MissingError } from '../diagnostics/error.ts';
import type { Update } from '../update/update.ts';
import { hasEntry, listEntries, stageOf } from './core-sysfs.ts';
import { readRecord } from './journal.ts';
import { isOfLivepatch } from './livepatch-state.ts';

/**
 * Throws MissingError unless every update that this one is on top of is applied, and is that very one. `earlier`: those that
 * will be applied in the same stop, and come before it.
 */
export function requireBelow(
  { id, on }: Pick<Update, 'id' | 'on'>,
  earlier: readonly Pick<Update, 'id' | 'digest'>[] = [],
): void {
  for (const below of on) {
    if (earlier.some((one) => one.id === below.id && one.digest === below.digest)) continue;
    const isApplied = hasEntry(below.id) && stageOf(below.id) === 'applied';
    if (isApplied && readRecord(below.id)?.digest === below.digest) continue;
    const found = isApplied
      ? 'another update of that ID is applied'
      : isOfLivepatch(below.id)
        ? `${below.id} is applied by livepatch, whose code no update can be on top of`
        : `${below.id} is not applied`;
    throw new MissingError('update_not_applied', `${id} is on top of ${below.id}, and ${found}`, {
      hint: isApplied
        ? `create ${id} again on top of the file that ${below.id} was applied from`
        : `apply that one first, or both: ksplice apply ${below.id}.ksplice ${id}.ksplice`,
      details: { id, below: below.id, digest: below.digest },
    });
  }
}

/** IDs of the updates known to the core that are on top of this one, from the top down: as they can be undone. */
function above(id: string): readonly string[] {
  // Each names all that are below it, so a higher one names more.
  return listEntries()
    .map((other) => ({ other, on: readRecord(other)?.manifest.on ?? [] }))
    .filter(({ on }) => on.some((below) => below.id === id))
    .toSorted((one, another) => another.on.length - one.on.length)
    .map(({ other }) => other);
}

/** IDs of updates on top of this one that a run which was killed has left before its switch. */
export function leftAbove(id: string): readonly string[] {
  return above(id).filter((other) => stageOf(other) === 'preparing');
}

/** Throws BusyError if an applied update is on top of this one. `earlier`: those that are undone in the same stop, before it. */
export function refuseUnderOthers(id: string, earlier: readonly string[] = []): void {
  const applied = above(id).filter((other) => stageOf(other) === 'applied' && !earlier.includes(other));
  if (applied.length === 0) return;
  const names = applied.join(', ');
  throw new BusyError(
    'module_busy',
    `${id}: cannot undo: ${names} is on top of it; the update is still applied`,
    {
      hint: `undo that first: ksplice undo ${names.replaceAll(',', '')} ${id}`,
      details: { id, above: applied },
    },
  );
}

/** Whether an update that stays loaded is on top of this one, whose module must stay then, too. */
export function isHeldByOthers(id: string): boolean {
  return above(id).length > 0;
}
