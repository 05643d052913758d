/**
 * Where everything that is kept lies in the replacement object: a section for each function and object,
 * one for all strings, one for each size of constants, one for each section taken whole.
 */
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_PROGBITS,
  STT_FUNC,
  STT_OBJECT,
} from '../elf/constants.ts';
import { altAux, altReplacement } from '../kernel/tables/alternatives.ts';
import type { Comparison } from './compare-items.ts';
import { isDebugDescriptor } from './debug-descriptor.ts';
import type { ImageDraft, SectionShape } from './image-draft.ts';
import { maskedBytes } from './item-uses.ts';
import { type KeptSet, pieceKey } from './kept-set.ts';
import type { Piece } from './target.ts';
import { referencesBetween, type Unit, type UnitItem } from './unit.ts';

/** A piece or item in the draft: byte `offset` of section `section` is its first. */
export interface Placement {
  readonly section: number;
  readonly offset: number;
}

export interface KeptLayout {
  readonly items: ReadonlyMap<UnitItem, Placement & { readonly symbol: number }>;
  /** By `pieceKey`. */
  readonly pieces: ReadonlyMap<string, Placement>;
}

function itemShape(item: UnitItem, isZero: boolean): SectionShape {
  const { alignment } = item.section;
  const shape = { type: SHT_PROGBITS, entrySize: 0, alignment };
  if (item.kind === 'function') {
    return { ...shape, name: `.text.${item.name}`, flags: SHF_ALLOC | SHF_EXECINSTR };
  }
  const writable = { ...shape, flags: SHF_ALLOC | SHF_WRITE };
  if (item.sectionClass === 'rodata') return { ...shape, name: `.rodata.${item.name}`, flags: SHF_ALLOC };
  // Built-in objects have several per-CPU sections; a module may have this one only.
  if (item.sectionClass === 'percpu') return { ...writable, name: '.data..percpu' };
  if (isDebugDescriptor(item)) return { ...writable, name: item.section.name };
  return isZero
    ? { ...writable, name: `.bss.${item.name}`, type: SHT_NOBITS }
    : { ...writable, name: `.data.${item.name}` };
}

function placeItem(
  draft: ImageDraft,
  { post: { unit }, correlation }: Comparison,
  item: UnitItem,
): Placement & { readonly symbol: number } {
  const bytes = maskedBytes(unit, item);
  const isZero =
    item.kind === 'object' &&
    bytes.every((byte) => byte === 0) &&
    referencesBetween(unit, item.section.index, item.start, item.end).length === 0;
  const shape = itemShape(item, isZero);
  const section = draft.addSection(shape, shape.type === SHT_NOBITS);
  const offset = draft.append(section, bytes, Math.max(item.section.alignment, 1));
  const symbol = draft.addSymbol(
    {
      name: item.name,
      value: BigInt(offset + item.entry - item.start),
      size: item.size,
      type: item.kind === 'function' ? STT_FUNC : STT_OBJECT,
      place: section,
    },
    item.scope === 'global' && !correlation.preOf.has(item),
  );
  return { section, offset, symbol };
}

/** Section for a piece, and what it must be aligned to there. */
function pieceShape(piece: Piece): SectionShape {
  const { section } = piece;
  const shape = { type: SHT_PROGBITS, flags: SHF_ALLOC, entrySize: 0, alignment: 1 };
  if (piece.kind === 'string') {
    // Not marked mergeable: references are "section + offset", and merging would move the strings.
    return { ...shape, name: '.rodata.str', alignment: Math.max(section.alignment, 1) };
  }
  if (piece.kind === 'constant') {
    return { ...shape, name: `.rodata.cst${section.entrySize}`, alignment: section.entrySize };
  }
  if (piece.kind === 'code') {
    const name = section.name === altAux.section ? altAux.section : altReplacement.section;
    return { ...shape, name, flags: SHF_ALLOC | SHF_EXECINSTR };
  }
  const name = section.name.startsWith('.rodata') ? section.name : `.rodata${section.name}`;
  return { ...shape, name, alignment: Math.max(section.alignment, 1) };
}

function pieceBytes(unit: Unit, piece: Piece): Uint8Array {
  const bytes = Uint8Array.from(piece.section.data.subarray(piece.start, piece.end));
  for (const { offset, width } of referencesBetween(unit, piece.section.index, piece.start, piece.end)) {
    bytes.fill(0, offset - piece.start, offset - piece.start + width);
  }
  return bytes;
}

/** Pass 6: places for functions first, then data, then what has no name. */
export function layoutKept(draft: ImageDraft, comparison: Comparison, kept: KeptSet): KeptLayout {
  const { unit } = comparison.post;
  const items = new Map(
    [...kept.functions, ...kept.objects].map((item) => [item, placeItem(draft, comparison, item)]),
  );
  const shared = new Map<string, number>();
  const pieces = new Map<string, Placement>();
  for (const piece of kept.pieces) {
    const shape = pieceShape(piece);
    const key = piece.kind === 'section' ? pieceKey(piece) : shape.name;
    const section = shared.get(key) ?? draft.addSection(shape);
    shared.set(key, section);
    pieces.set(pieceKey(piece), {
      section,
      offset: draft.append(section, pieceBytes(unit, piece), shape.alignment),
    });
  }
  return { items, pieces };
}
