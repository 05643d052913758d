/**
 * What the replacement object has to contain: replaced and new functions with their cold parts, and what
 * can be reached from them and is not in the kernel already.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import { isCopyableConstant } from './base-name.ts';
import type { Comparison } from './compare-items.ts';
import { type Piece, resolveTarget, type Target } from './target.ts';
import { type Reference, referencesBetween, referencesOf, type Unit, type UnitItem } from './unit.ts';
import type { ItemPart, UnitChange } from './unit-change.ts';

export interface KeptSet {
  /** In the order of the post object. */
  readonly functions: readonly UnitItem[];
  readonly objects: readonly UnitItem[];
  readonly pieces: readonly Piece[];
}

/** Two references to one piece give different records; this tells that they are the same. */
export function pieceKey(piece: Piece): string {
  return `${piece.section.index} ${piece.start} ${piece.end}`;
}

function keptFunctions(post: Unit, change: UnitChange): UnitItem[] {
  const parts: ItemPart[] = [
    ...change.replaced.flatMap((each) => [each.post, ...each.postCold]),
    ...change.newFunctions.flatMap((each) => [each.post, ...each.postCold]),
  ];
  const symbols = new Set(parts.map((part) => part.symbol));
  return post.items.filter((item) => item.kind === 'function' && symbols.has(item.symbol));
}

/** Whether an object is not the kernel's own: new, a changed constant, or a string in disguise. */
function isOwnObject(comparison: Comparison, item: UnitItem): boolean {
  return (
    item.kind === 'object' &&
    (!comparison.correlation.preOf.has(item) ||
      comparison.copied.has(item) ||
      (item.sectionClass === 'rodata' && item.scope === 'unit' && isCopyableConstant(item.name)))
  );
}

function checkPiece(unit: Unit, piece: Piece, from: string): void {
  const sectionClass = unit.classes[piece.section.index];
  const isConstant = sectionClass === 'strings' || sectionClass === 'constants' || sectionClass === 'rodata';
  if (isConstant || piece.kind === 'code') return;
  throw new RefusedError(
    'refused',
    `${unit.object.path}: ${from} refers to ${piece.section.name}+${hex(piece.start)}, which has no name`,
    { hint: 'existing data without a symbol cannot be found in the running kernel' },
  );
}

/** Pass 5: closure over references. */
export function keptSet(comparison: Comparison, change: UnitChange): KeptSet {
  const { unit, entries } = comparison.post;
  const functions = keptFunctions(unit, change);
  const objects = new Set<UnitItem>();
  const pieces = new Map<string, Piece>();

  const visit = (target: Target, from: string): void => {
    if (target.kind === 'item' && isOwnObject(comparison, target.item) && !objects.has(target.item)) {
      const { item } = target;
      objects.add(item);
      follow(referencesOf(unit, item), item.name);
    }
    if (target.kind === 'piece' && !pieces.has(pieceKey(target.piece))) {
      const { piece } = target;
      checkPiece(unit, piece, from);
      pieces.set(pieceKey(piece), piece);
      follow(referencesBetween(unit, piece.section.index, piece.start, piece.end), from);
    }
  };
  const follow = (references: readonly Reference[], from: string): void => {
    for (const reference of references) visit(resolveTarget(unit, reference), from);
  };

  for (const item of functions) {
    follow(referencesOf(unit, item), item.name);
    for (const entry of entries.get(item) ?? []) {
      if (entry.table.extraction !== 'keep') continue;
      if (entry.replacement !== undefined) {
        const { replacement } = entry;
        pieces.set(pieceKey(replacement), replacement);
        follow(
          referencesBetween(unit, replacement.section.index, replacement.start, replacement.end),
          item.name,
        );
      }
      const fields = entry.table.fields.filter((field) => field.meaning === 'reference');
      const wanted = new Set(fields.map((field) => entry.entry.offset + field.offset));
      follow(
        entry.references.filter((reference) => wanted.has(reference.offset)),
        item.name,
      );
    }
  }
  // A new global object may be what another unit of the patch refers to.
  for (const item of unit.items) {
    const isNew = item.kind === 'object' && !comparison.correlation.preOf.has(item);
    const isData = item.sectionClass !== 'table' && item.sectionClass !== 'init-data';
    if (isNew && isData && item.scope === 'global') visit({ kind: 'item', item, offset: 0 }, item.name);
  }
  return { functions, objects: [...objects], pieces: [...pieces.values()] };
}
