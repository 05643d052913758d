/**
 * What a reference means: a named thing, or contents.
 *
 * Functions and objects have identity. Strings and mergeable constants have none: the linker merges them
 * with equal ones of other units, so they are compared by content. Anything else without a name is taken
 * by whole section, since nothing tells where one nameless object ends and the next begins.
 */
import { hex } from '../diagnostics/hex.ts';
import { SHF_EXECINSTR } from '../elf/constants.ts';
import type { Section, SectionIndex } from '../elf/model.ts';
import type { Reference, ReferencePlace, Unit, UnitItem } from './unit.ts';

/** Contents without a name: bytes [start, end) of a section. */
export interface Piece {
  readonly section: Section;
  readonly start: number;
  readonly end: number;
  readonly kind: 'string' | 'constant' | 'code' | 'section';
}

export type Target =
  | { readonly kind: 'external'; readonly name: string; readonly offset: number }
  /** `offset` counts from the item's symbol and may lie outside it. */
  | { readonly kind: 'item'; readonly item: UnitItem; readonly offset: number }
  | { readonly kind: 'piece'; readonly piece: Piece; readonly offset: number };

function itemAt(items: readonly UnitItem[], offset: number): UnitItem | undefined {
  const [only] = items;
  if (items.length === 1) return only;
  return (
    items.find((item) => offset >= item.start && offset < item.end) ??
    items.find((item) => offset === item.start) ??
    // One past the end of an object, where no other begins.
    items.find((item) => offset === item.end)
  );
}

/** The string around an offset if the offset is its beginning; a whole section otherwise. */
function stringPiece(section: Section, offset: number): Piece {
  const { data } = section;
  const isStart = offset === 0 || data[offset - 1] === 0;
  const end = data.indexOf(0, offset);
  // An offset into a string is real (`"abc" + 1`), or one that an index will bring into another string:
  // gcc biases addresses in loops. Only the whole section is right for both.
  if (section.entrySize !== 1 || !isStart || offset < 0 || offset >= section.size || end < 0) {
    return wholeSection(section);
  }
  return { section, start: offset, end: end + 1, kind: 'string' };
}

function constantPiece(section: Section, offset: number): Piece {
  const size = section.entrySize;
  if (size === 0 || offset < 0 || offset % size !== 0 || offset + size > section.size) {
    return wholeSection(section);
  }
  return { section, start: offset, end: offset + size, kind: 'constant' };
}

function codePiece(unit: Unit, section: Section, offset: number): Piece {
  const starts = unit.piecesIn.get(section.index) ?? [];
  const next = starts.find((start) => start > offset) ?? section.size;
  return starts.includes(offset)
    ? { section, start: offset, end: next, kind: 'code' }
    : wholeSection(section);
}

function wholeSection(section: Section): Piece {
  return { section, start: 0, end: section.size, kind: 'section' };
}

function pieceAt(unit: Unit, section: Section, offset: number): Piece {
  const sectionClass = unit.classes[section.index];
  if (sectionClass === 'strings') return stringPiece(section, offset);
  if (sectionClass === 'constants') return constantPiece(section, offset);
  if ((section.flags & SHF_EXECINSTR) !== 0) return codePiece(unit, section, offset);
  return wholeSection(section);
}

/** The item that covers a place, if there is one. */
export function itemCovering(unit: Unit, section: SectionIndex, offset: number): UnitItem | undefined {
  return itemAt(unit.itemsIn.get(section) ?? [], offset);
}

function resolvePlace(unit: Unit, place: ReferencePlace): Target {
  if (place.kind === 'external') return { kind: 'external', name: place.name, offset: place.offset };
  const item = itemCovering(unit, place.section, place.offset);
  if (item !== undefined) return { kind: 'item', item, offset: place.offset - item.entry };
  const section = unit.object.sections[place.section];
  if (section === undefined) return { kind: 'external', name: '', offset: place.offset };
  const piece = pieceAt(unit, section, place.offset);
  return { kind: 'piece', piece, offset: place.offset - piece.start };
}

export function resolveTarget(unit: Unit, reference: Reference): Target {
  return resolvePlace(unit, reference.to);
}

function plus(offset: number): string {
  if (offset === 0) return '';
  return offset < 0 ? hex(offset) : `+${hex(offset)}`;
}

/** `printk`, `foo+0x8`, `"some text"`, `.rodata+0x10`: for messages. */
export function targetText(target: Target): string {
  if (target.kind === 'external') return `${target.name}${plus(target.offset)}`;
  if (target.kind === 'item') return `${target.item.name}${plus(target.offset)}`;
  const { piece } = target;
  if (piece.kind !== 'string') return `${piece.section.name}${plus(piece.start + target.offset)}`;
  const text = Buffer.from(piece.section.data.subarray(piece.start, piece.end - 1)).toString('latin1');
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 37)}...` : text);
}
