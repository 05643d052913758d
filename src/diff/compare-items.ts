/**
 * Whether an item is the same in pre and post: bytes outside of references, references by meaning, and for
 * a function its entries in special sections.
 *
 * Meaning: a named thing by identity (see correlate), a string or constant by content, so that neither a
 * moved string nor a renumbered static local counts. Source lines in bug tables, debug descriptors and
 * texts that end in one do not count either; a line handed over as a number is code, and does. ORC entries are not compared: they follow from the code.
 */
import { hex } from '../diagnostics/hex.ts';
import type { TableField } from '../kernel/tables/special-table.ts';
import type { Correlation } from './correlate.ts';
import { clearLineNumber } from './debug-descriptor.ts';
import { maskedBytes } from './item-uses.ts';
import type { OwnedEntry } from './owned-entries.ts';
import { type Piece, resolveTarget, type Target, targetText } from './target.ts';
import { type Reference, referencesBetween, referencesOf, type Unit, type UnitItem } from './unit.ts';
import type { UnitSide } from './unit-side.ts';

export interface Comparison {
  readonly pre: UnitSide;
  readonly post: UnitSide;
  readonly correlation: Correlation;
  /** Constant objects of post that are copied because they changed: whoever refers to them has changed. */
  readonly copied: ReadonlySet<UnitItem>;
}

/** First difference found, in words; undefined if there is none. */
export type Difference = string | undefined;

function pieceBytes(piece: Piece): Uint8Array {
  return piece.section.data.subarray(piece.start, piece.end);
}

/**
 * Text that differs only in the line of a source place, `... at net/core/rtnetlink.c:3397`: checked string
 * functions (FORTIFY_SOURCE) make one for every call.
 */
function sameButForLine(left: Piece, right: Piece): boolean {
  if (left.kind !== 'string' || right.kind !== 'string') return false;
  const [a, b] = [left, right].map((piece) =>
    Buffer.from(pieceBytes(piece))
      .toString('latin1')
      .replace(/(\.[chS]):\d+\0$/, '$1:'),
  );
  return a === b;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** Two pieces with the same bytes, whose references mean the same. */
function samePiece(comparison: Comparison, left: Piece, right: Piece, depth: number): boolean {
  if (sameButForLine(left, right)) return true;
  const a = Uint8Array.from(pieceBytes(left));
  const b = Uint8Array.from(pieceBytes(right));
  const leftReferences = referencesBetween(comparison.pre.unit, left.section.index, left.start, left.end);
  const rightReferences = referencesBetween(
    comparison.post.unit,
    right.section.index,
    right.start,
    right.end,
  );
  if (a.length !== b.length || leftReferences.length !== rightReferences.length) return false;
  for (const { offset, width } of leftReferences) a.fill(0, offset - left.start, offset - left.start + width);
  for (const { offset, width } of rightReferences)
    b.fill(0, offset - right.start, offset - right.start + width);
  return (
    sameBytes(a, b) &&
    leftReferences.every((reference, index) => {
      const other = rightReferences[index];
      return (
        other !== undefined &&
        reference.offset - left.start === other.offset - right.start &&
        reference.type === other.type &&
        sameTarget(comparison, reference, other, depth + 1)
      );
    })
  );
}

/**
 * `__BTF_ID__struct__sock__`, for a reference into a list of BTF ids. All of them are zero in an object, and others
 * come in between when the list grows: neither contents nor offset tells which one is meant.
 */
function btfId(unit: Unit, { piece, offset }: Extract<Target, { kind: 'piece' }>): string | undefined {
  if (piece.section.name !== '.BTF_ids') return undefined;
  const at = piece.start + offset;
  const names = unit.object.symbols.filter(
    ({ place, value, name }) =>
      place === piece.section.index && Number(value) === at && name.startsWith('__BTF_ID__'),
  );
  return names.map(({ name }) => name.replace(/\d+$/, '')).join() || `+${at}`;
}

function sameResolved(comparison: Comparison, left: Target, right: Target, depth: number): boolean {
  if (left.kind === 'external' && right.kind === 'external') {
    return left.name === right.name && left.offset === right.offset;
  }
  if (left.kind === 'item' && right.kind === 'item') {
    return (
      comparison.correlation.preOf.get(right.item) === left.item &&
      left.offset === right.offset &&
      !comparison.copied.has(right.item)
    );
  }
  if (left.kind === 'piece' && right.kind === 'piece') {
    const [id, otherId] = [btfId(comparison.pre.unit, left), btfId(comparison.post.unit, right)];
    if (id !== undefined || otherId !== undefined) return id === otherId;
    // Nameless pieces that refer to each other in a circle do not occur in C; 16 levels are plenty.
    return (
      depth < 16 &&
      left.offset === right.offset &&
      left.piece.kind === right.piece.kind &&
      samePiece(comparison, left.piece, right.piece, depth)
    );
  }
  return false;
}

/** Whether a reference of pre and one of post mean the same. */
function sameTarget(comparison: Comparison, left: Reference, right: Reference, depth = 0): boolean {
  const a = resolveTarget(comparison.pre.unit, left);
  const b = resolveTarget(comparison.post.unit, right);
  return sameResolved(comparison, a, b, depth);
}

function compareReferences(comparison: Comparison, pre: UnitItem, post: UnitItem): Difference {
  const left = referencesOf(comparison.pre.unit, pre);
  const right = referencesOf(comparison.post.unit, post);
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const a = left[index];
    const b = right[index];
    if (a === undefined || b === undefined) return 'the number of references differs';
    const at = hex(b.offset - post.start);
    if (a.offset - pre.start !== b.offset - post.start || a.type !== b.type) {
      return `references differ at +${at}`;
    }
    if (!sameTarget(comparison, a, b)) {
      const before = targetText(resolveTarget(comparison.pre.unit, a));
      const after = targetText(resolveTarget(comparison.post.unit, b));
      return `+${at} refers to ${after}, before to ${before}`;
    }
  }
  return undefined;
}

/** Compares size, bytes and references of two objects or two functions. */
export function compareContents(comparison: Comparison, pre: UnitItem, post: UnitItem): Difference {
  if (pre.end - pre.start !== post.end - post.start) {
    return `size ${hex(post.end - post.start)}, before ${hex(pre.end - pre.start)}`;
  }
  const left = maskedBytes(comparison.pre.unit, pre);
  const right = maskedBytes(comparison.post.unit, post);
  clearLineNumber(pre, left);
  clearLineNumber(post, right);
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at >= 0 ? `bytes differ at +${hex(at)}` : compareReferences(comparison, pre, post);
}

function fieldBytes(entry: OwnedEntry, field: TableField): Uint8Array {
  return entry.entry.bytes.subarray(field.offset, field.offset + field.length);
}

function compareField(
  comparison: Comparison,
  left: OwnedEntry,
  right: OwnedEntry,
  field: TableField,
): boolean {
  const { meaning } = field;
  if (meaning === 'line' || meaning === 'padding') return true;
  if (meaning === 'owner') return left.at === right.at;
  if (meaning === 'value') return sameBytes(fieldBytes(left, field), fieldBytes(right, field));
  if (meaning === 'replacement') {
    return left.replacement === undefined || right.replacement === undefined
      ? left.replacement === right.replacement
      : samePiece(comparison, left.replacement, right.replacement, 0);
  }
  const a = left.references.find((each) => each.offset === left.entry.offset + field.offset);
  const b = right.references.find((each) => each.offset === right.entry.offset + field.offset);
  if (a === undefined || b === undefined) return a === b;
  return a.type === b.type && sameTarget(comparison, a, b);
}

function tableEntriesOf(side: UnitSide, item: UnitItem): readonly OwnedEntry[] {
  return (side.entries.get(item) ?? []).filter((each) => each.table.onChange === 'function');
}

/** Whether a line number is all that differs in the table entries of two functions that are the same. */
export function linesDiffer(comparison: Comparison, pre: UnitItem, post: UnitItem): boolean {
  const left = tableEntriesOf(comparison.pre, pre);
  const right = tableEntriesOf(comparison.post, post);
  return left.some((entry, index) => {
    const other = right[index];
    return entry.table.fields.some(
      (field) =>
        field.meaning === 'line' &&
        other !== undefined &&
        !sameBytes(fieldBytes(entry, field), fieldBytes(other, field)),
    );
  });
}

/** Compares code, references and table entries of two functions. */
export function compareFunctions(comparison: Comparison, pre: UnitItem, post: UnitItem): Difference {
  const difference = compareContents(comparison, pre, post);
  if (difference !== undefined) return difference;
  const left = tableEntriesOf(comparison.pre, pre);
  const right = tableEntriesOf(comparison.post, post);
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const a = left[index];
    const b = right[index];
    if (a === undefined || b === undefined || a.table !== b.table) {
      return `the number of entries in ${(b ?? a)?.table.section ?? 'a table'} differs`;
    }
    const field = a.table.fields.find((each) => !compareField(comparison, a, b, each));
    if (field !== undefined) return `${a.table.section}: ${field.name} for +${hex(b.at)} differs`;
  }
  return undefined;
}
