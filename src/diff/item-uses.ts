import type { EntriesByFunction } from './owned-entries.ts';
import { resolveTarget, type Target } from './target.ts';
import { bytesOf, type Reference, referencesOf, type Unit, type UnitItem } from './unit.ts';

/** A reference of an item, with a name for what it means that is the same in two builds. */
export interface ItemUse {
  readonly reference: Reference;
  readonly target: Target;
  /** Compares equal for references that may mean the same: numbers in names left out. */
  readonly token: string;
}

function token(reference: Reference, target: Target): string {
  const { type } = reference;
  if (target.kind === 'external') return `${type} external ${target.name} ${target.offset}`;
  if (target.kind === 'item') return `${type} ${target.item.kind} ${target.item.base} ${target.offset}`;
  const { piece, offset } = target;
  if (piece.kind !== 'string' && piece.kind !== 'constant') return `${type} ${piece.kind}`;
  const content = Buffer.from(piece.section.data.subarray(piece.start, piece.end)).toString('latin1');
  return `${type} ${piece.kind} ${content} ${offset}`;
}

function use(unit: Unit, reference: Reference): ItemUse {
  const target = resolveTarget(unit, reference);
  return { reference, target, token: token(reference, target) };
}

/**
 * References of an item in order; for a function, then those of its table entries (a jump label names a
 * key that the code itself does not).
 */
export function readUses(unit: Unit, entries: EntriesByFunction, item: UnitItem): readonly ItemUse[] {
  const own = referencesOf(unit, item).map((reference) => use(unit, reference));
  const tables = (entries.get(item) ?? []).filter((each) => each.table.onChange === 'function');
  return [...own, ...tables.flatMap((each) => each.references.map((reference) => use(unit, reference)))];
}

/** An item's bytes with the fields of references set to zero. */
export function maskedBytes(unit: Unit, item: UnitItem): Uint8Array {
  const bytes = Uint8Array.from(bytesOf(item));
  for (const { offset, width } of referencesOf(unit, item)) {
    bytes.fill(0, offset - item.start, offset - item.start + width);
  }
  return bytes;
}
