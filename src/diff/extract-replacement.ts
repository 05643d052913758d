/**
 * Makes the replacement object of a unit from its post object: replaced and new functions, a section each,
 * with what they need that the kernel does not have, and exactly the entries of special sections that are
 * about them. Everything else becomes an undefined symbol, to be bound to the running kernel.
 */
import { coldParent } from './base-name.ts';
import { Binder } from './bind-reference.ts';
import type { Comparison } from './compare-items.ts';
import { extractTables } from './extract-tables.ts';
import { ImageDraft } from './image-draft.ts';
import { type KeptSet, keptSet, pieceKey } from './kept-set.ts';
import { type KeptLayout, layoutKept } from './layout-kept.ts';
import type { Replacement, ReplacementData, ReplacementFunction } from './replacement.ts';
import { referencesBetween, referencesOf, type UnitItem } from './unit.ts';
import type { UnitChange } from './unit-change.ts';

function emitContents(binder: Binder, layout: KeptLayout, comparison: Comparison, kept: KeptSet): void {
  const { unit } = comparison.post;
  for (const item of [...kept.functions, ...kept.objects]) {
    const placed = layout.items.get(item);
    if (placed === undefined) continue;
    for (const reference of referencesOf(unit, item)) {
      const offset = placed.offset + reference.offset - item.start;
      binder.emit(item, reference, { section: placed.section, offset }, 'contents');
    }
  }
}

/** Relocations of nameless pieces; they stand for the function that led to them. */
function emitPieces(binder: Binder, layout: KeptLayout, comparison: Comparison, kept: KeptSet): void {
  const [first] = kept.functions;
  if (first === undefined) return;
  for (const piece of kept.pieces) {
    const placed = layout.pieces.get(pieceKey(piece));
    if (placed === undefined) continue;
    const references = referencesBetween(comparison.post.unit, piece.section.index, piece.start, piece.end);
    for (const reference of references) {
      const offset = placed.offset + reference.offset - piece.start;
      binder.emit(first, reference, { section: placed.section, offset }, 'contents');
    }
  }
}

function symbolOf(layout: KeptLayout, item: UnitItem): number {
  return layout.items.get(item)?.symbol ?? -1;
}

function describeFunction(comparison: Comparison, item: UnitItem, symbol: number): ReplacementFunction {
  const partner = comparison.correlation.preOf.get(item);
  return {
    name: item.name,
    preName: partner?.name,
    scope: (partner ?? item).scope,
    aliases: (partner ?? item).aliases,
    symbol,
    coldOf: coldParent(item.name),
  };
}

function describeData(comparison: Comparison, item: UnitItem, symbol: number): ReplacementData {
  return {
    name: item.name,
    scope: item.scope,
    symbol,
    size: item.size,
    copyOf: comparison.correlation.preOf.get(item)?.name,
  };
}

/**
 * @param comparison of the unit's two objects, by `compareUnit`
 * @param change what `diffCompared` found in it
 * @throws RefusedError if kept code refers to something that can be neither copied nor found
 */
export function extractReplacement(comparison: Comparison, change: UnitChange): Replacement {
  const kept = keptSet(comparison, change);

  // Places first, since anything may refer to anything.
  const draft = new ImageDraft();
  const layout = layoutKept(draft, comparison, kept);

  // Then relocations: of code and data, of nameless pieces, of tables.
  const binder = new Binder(comparison, draft, layout);
  emitContents(binder, layout, comparison, kept);
  emitPieces(binder, layout, comparison, kept);
  extractTables(draft, binder, layout, comparison.post, kept);

  const { object, positions } = draft.finish();
  const place = (position: number): number => positions[position] ?? position;
  return {
    object,
    functions: kept.functions.map((item) =>
      describeFunction(comparison, item, place(symbolOf(layout, item))),
    ),
    hooks: change.hooks,
    data: kept.objects.map((item) => describeData(comparison, item, place(symbolOf(layout, item)))),
    references: binder.references.map((each) => ({ ...each, position: place(each.position) })),
    directBranches: binder.directBranches,
    escapes: binder.escapes.finish(),
    addressesTaken: binder.addressesTaken,
  };
}
