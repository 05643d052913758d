/**
 * Hooks of a patch: which functions the core has to call, and when. They are listed in sections of their own
 * (include/ksplice-patch.h), which do not come along: the tables of the update module say it again for the core.
 */

import { FormatError } from '../diagnostics/error.ts';
import { R_X86_64_64 } from '../elf/constants.ts';
import { type HookKind, hookKindOf, OLD_CODE_HOOKS } from '../kernel/tables/hooks.ts';
import type { Comparison } from './compare-items.ts';
import type { Diagnostic } from './diagnostic.ts';
import { resolveTarget } from './target.ts';
import { type Reference, referencesBetween, type UnitItem } from './unit.ts';
import { type UnitSide, usesOf } from './unit-side.ts';

export interface HookItem {
  readonly kind: HookKind;
  readonly item: UnitItem;
}

/** A pointer, and the line of the source. */
const ENTRY_SIZE = 16;
const LINE_OFFSET = 8;

/**
 * The hooks of a build, those of one kind in the order of the source.
 * Throws FormatError if a section of hooks is not what the macros make of functions of the unit.
 */
export function readHooks({ unit }: UnitSide): readonly HookItem[] {
  const { object } = unit;
  return object.sections.flatMap((section) => {
    const kind = hookKindOf(section.name);
    if (kind === undefined) return [];
    const pointers = referencesBetween(unit, section.index, 0, section.size);
    const isList = pointers.every(({ offset }, i) => offset === i * ENTRY_SIZE);
    if (!isList || pointers.length * ENTRY_SIZE !== section.size) {
      throw new FormatError(
        'malformed_object',
        `${object.path}: ${section.name}: ${section.size} bytes with ${pointers.length} pointers`,
        { hint: 'name hooks with the macros of <ksplice-patch.h> only' },
      );
    }
    const view = new DataView(section.data.buffer, section.data.byteOffset, section.size);
    const line = ({ offset }: Reference): number => view.getUint32(offset + LINE_OFFSET, true);
    return pointers
      .toSorted((a, b) => line(a) - line(b))
      .map((reference) => {
        const target = resolveTarget(unit, reference);
        const isFunction = target.kind === 'item' && target.item.kind === 'function' && target.offset === 0;
        if (!isFunction || reference.type !== R_X86_64_64) {
          throw new FormatError(
            'malformed_object',
            `${object.path}: ${section.name}: not a function of this unit`,
            {
              hint: 'a hook is a function of the patched file, without __init',
            },
          );
        }
        return { kind, item: target.item };
      });
  });
}

/** The replaced function that is called first, directly or by new functions of the patch. */
function callsReplaced(
  { post, correlation }: Comparison,
  hook: UnitItem,
  replaced: ReadonlySet<UnitItem>,
): UnitItem | undefined {
  const seen = new Set<UnitItem>();
  const queue = [hook];
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    if (seen.has(item)) continue;
    seen.add(item);
    for (const { target, reference } of usesOf(post, item)) {
      if (target.kind !== 'item' || target.item.kind !== 'function' || reference.use !== 'branch') continue;
      if (replaced.has(target.item)) return target.item;
      if (!correlation.preOf.has(target.item)) queue.push(target.item);
    }
  }
  return undefined;
}

/**
 * What speaks against the hooks of a patch.
 * @param replaced functions of post that replace one of pre
 */
export function hookProblems(
  comparison: Comparison,
  hooks: readonly HookItem[],
  replaced: ReadonlySet<UnitItem>,
): readonly Diagnostic[] {
  const { path } = comparison.post.unit.object;
  return hooks.flatMap(({ kind, item }): readonly Diagnostic[] => {
    const location = { unit: path, section: item.section.name, symbol: item.name };
    if (comparison.correlation.preOf.has(item) || item.sectionClass !== 'text') {
      return [
        {
          code: 'hook_refused',
          severity: 'error',
          message: `${path}: ${item.name}: a ksplice_${kind} hook has to be a new, ordinary function of the patch`,
          location,
          hint: 'write a function of its own for the hook, without __init, and call others from it',
        },
      ];
    }
    const called = OLD_CODE_HOOKS.has(kind) ? callsReplaced(comparison, item, replaced) : undefined;
    return called === undefined
      ? []
      : [
          {
            code: 'hook_refused',
            severity: 'error',
            message:
              `${path}: ${item.name}: a ksplice_${kind} hook runs while the old code is in force, and calls ` +
              `${called.name}, which is replaced: the new code would run`,
            location,
            hint: kind.endsWith('reverse')
              ? 'do it in ksplice_pre_reverse or ksplice_check_reverse, or without that call'
              : 'do it in ksplice_apply or ksplice_post_apply, or without that call',
          },
        ];
  });
}
