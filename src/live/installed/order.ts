import type { Update } from '../../update/update.ts';

type Placed = Pick<Update, 'id' | 'on'>;

/**
 * An order in which updates of one kernel can be applied: each after those that it is on top of, otherwise by ID. Updates below that are not
 * among them have no place; whoever applies misses them.
 */
export function dependencyOrder<T extends Placed>(updates: readonly T[]): readonly T[] {
  const byId = new Map(updates.map((update) => [update.id, update]));
  const placed = new Set<T>();
  // A set keeps the order of insertion, and an update is made after those that it names, so this ends.
  const place = (update: T, path: readonly T[]): void => {
    if (placed.has(update) || path.includes(update)) return;
    for (const { id } of update.on) {
      const below = byId.get(id);
      if (below !== undefined) place(below, [...path, update]);
    }
    placed.add(update);
  };
  for (const update of updates.toSorted((a, b) => (a.id < b.id ? -1 : 1))) place(update, []);
  return [...placed];
}

/** Those of `updates` that are on top of the update `id`. */
export function onTopOf<T extends Placed>(updates: readonly T[], id: string): readonly T[] {
  return updates.filter(({ on }) => on.some((below) => below.id === id));
}
