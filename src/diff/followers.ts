/**
 * Functions that are the same in both builds and have to be replaced all the same: they go into the middle of one
 * that is replaced, where no trampoline leads on. Compiled functions do that to their own cold parts only;
 * in assembly a common tail is often shared (`.Lcopy_user_handle_tail`).
 */
import { hex } from '../diagnostics/hex.ts';
import { altReplacement } from '../kernel/tables/alternatives.ts';
import type { Comparison } from './compare-items.ts';
import { type Piece, resolveTarget, type Target } from './target.ts';
import { type Reference, referencesBetween, type UnitItem } from './unit.ts';
import { type UnitSide, usesOf } from './unit-side.ts';

/** What a function comes to by its code, its table entries, and code or jump tables that have no name. */
function* reached(side: UnitSide, item: UnitItem): Generator<Target> {
  const { unit, entries } = side;
  const seen = new Set<string>();
  function* follow(target: Target): Generator<Target> {
    yield target;
    // An entry tells which part of the alternatives is its own; its field alone would stand for all of them.
    const isWhole = target.kind === 'piece' && target.piece.section.name !== altReplacement.section;
    if (isWhole) yield* inside(target.piece);
  }
  function* inside({ section, start, end }: Piece): Generator<Target> {
    const key = `${section.index} ${start} ${end}`;
    if (seen.has(key)) return;
    seen.add(key);
    const references: readonly Reference[] = referencesBetween(unit, section.index, start, end);
    for (const reference of references) yield* follow(resolveTarget(unit, reference));
  }
  for (const { target } of usesOf(side, item)) yield* follow(target);
  for (const { replacement } of entries.get(item) ?? []) {
    if (replacement !== undefined) yield* inside(replacement);
  }
}

/**
 * Adds to `why`, the reasons by function of post, until nothing follows any more.
 * @param wholeOf the function that an item is a cold part of, or the item itself
 */
export function addFollowers(
  { post, correlation }: Comparison,
  why: Map<UnitItem, string[]>,
  wholeOf: (item: UnitItem) => UnitItem,
): void {
  for (let before = -1; before !== why.size; ) {
    before = why.size;
    for (const item of correlation.preOf.keys()) {
      const whole = wholeOf(item);
      if (item.kind !== 'function' || why.has(whole)) continue;
      for (const target of reached(post, item)) {
        if (target.kind !== 'item' || target.item.kind !== 'function' || target.offset === 0) continue;
        const other = wholeOf(target.item);
        if (other === whole || !why.has(other)) continue;
        why.set(whole, [`goes to ${target.item.name}+${hex(target.offset)}, which is replaced`]);
        break;
      }
    }
  }
}
