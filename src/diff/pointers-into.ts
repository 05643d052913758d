/**
 * Constants that hold places in the middle of a replaced function: `static const void *table[] = { &&label }`,
 * a jump table with a name. They stay where they are, so the new code would jump through them into the old.
 */
import { hex } from '../diagnostics/hex.ts';
import type { Comparison } from './compare-items.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { UnitItem } from './unit.ts';
import { usesOf } from './unit-side.ts';

/** @param replaced functions of post that replace one of pre */
export function pointersInto(
  { post, correlation, copied }: Comparison,
  replaced: ReadonlySet<UnitItem>,
): readonly Diagnostic[] {
  const { path } = post.unit.object;
  return post.unit.items.flatMap((item) => {
    // What is new or copied refers to the new code.
    const isExisting = item.kind === 'object' && correlation.preOf.has(item) && !copied.has(item);
    if (!isExisting) return [];
    const into = usesOf(post, item).find(
      ({ target }) => target.kind === 'item' && target.offset !== 0 && replaced.has(target.item),
    );
    if (into?.target.kind !== 'item') return [];
    const { item: to, offset } = into.target;
    return [
      {
        code: 'immovable_code',
        severity: 'error',
        message: `${path}: ${to.name}: cannot be replaced: ${item.name} points to +${hex(offset)} of it`,
        location: { unit: path, section: to.section.name, symbol: to.name },
        hint: 'the new code would go through that table into the old; patch a function that calls this one',
      } satisfies Diagnostic,
    ];
  });
}
