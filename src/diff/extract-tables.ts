/**
 * Entries of special sections for kept functions, and for these only: an entry whose code is not there
 * would send the kernel to rewrite, or to look up, something else.
 */
import { R_X86_64_PC32, SHF_ALLOC, SHF_WRITE, SHT_PROGBITS } from '../elf/constants.ts';
import { orcUnwind, orcUnwindIp } from '../kernel/tables/orc.ts';
import type { SpecialTable } from '../kernel/tables/special-table.ts';
import type { Binder } from './bind-reference.ts';
import type { ImageDraft } from './image-draft.ts';
import type { KeptSet } from './kept-set.ts';
import type { KeptLayout } from './layout-kept.ts';
import type { OwnedEntry } from './owned-entries.ts';
import type { UnitItem } from './unit.ts';
import type { UnitSide } from './unit-side.ts';

function sectionFor(draft: ImageDraft, made: Map<string, number>, entry: OwnedEntry): number {
  const { section } = entry.entry;
  const known = made.get(section.name);
  if (known !== undefined) return known;
  const position = draft.addSection({
    name: section.name,
    type: SHT_PROGBITS,
    // Group and link-order flags of the compiler's mean nothing without the sections they name.
    flags: section.flags & (SHF_ALLOC | SHF_WRITE),
    entrySize: section.entrySize,
    alignment: Math.max(section.alignment, 1),
  });
  made.set(section.name, position);
  return position;
}

function emitEntry(
  draft: ImageDraft,
  binder: Binder,
  from: UnitItem,
  position: number,
  entry: OwnedEntry,
): void {
  const bytes = Uint8Array.from(entry.entry.bytes);
  const start = entry.entry.offset;
  for (const { offset, width } of entry.references) bytes.fill(0, offset - start, offset - start + width);
  const at = draft.append(position, bytes, 1);
  for (const reference of entry.references) {
    const field = entry.table.fields.find((each) => each.offset === reference.offset - start);
    const place = { section: position, offset: at + reference.offset - start };
    if (field?.meaning === 'replacement' && entry.replacement !== undefined) {
      binder.emitPiece(reference, place, entry.replacement);
      continue;
    }
    const role = field?.meaning === 'reference' ? 'table-reference' : 'table-code';
    binder.emit(from, reference, place, role);
  }
}

interface OrcState {
  /** From the start of the text section. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Unwind states of each text section, by offset. objtool writes a state only where it differs from the one
 * before, across functions of one section too.
 */
function orcStates(side: UnitSide): Map<number, OrcState[]> {
  const states = new Map<number, OrcState[]>();
  for (const [item, entries] of side.entries) {
    for (const entry of entries) {
      if (entry.table !== orcUnwindIp || entry.orc === undefined) continue;
      const { index } = item.section;
      const list = states.get(index) ?? [];
      list.push({ offset: item.start + entry.at, bytes: entry.orc });
      states.set(index, list);
    }
  }
  for (const list of states.values()) list.sort((a, b) => a.offset - b.offset);
  return states;
}

/** States of one function from its first byte on, then the terminator: nothing is known after its end. */
function orcOf(states: readonly OrcState[], item: UnitItem): OrcState[] {
  const first = states.findLast((state) => state.offset <= item.start);
  const inside = states.filter((state) => state.offset > item.start && state.offset < item.end);
  const all = first === undefined ? inside : [{ ...first, offset: item.start }, ...inside];
  const terminator = { offset: item.end, bytes: new Uint8Array(6) };
  return all.length === 0 ? [] : [...all, terminator];
}

function emitOrc(draft: ImageDraft, layout: KeptLayout, side: UnitSide, kept: KeptSet): void {
  const states = orcStates(side);
  if (states.size === 0) return;
  const shape = { type: SHT_PROGBITS, flags: SHF_ALLOC, alignment: 1 };
  const orc = draft.addSection({ ...shape, name: orcUnwind.section, entrySize: 6 });
  const ip = draft.addSection({ ...shape, name: orcUnwindIp.section, entrySize: 4 });
  for (const item of kept.functions) {
    const placed = layout.items.get(item);
    if (placed === undefined) continue;
    for (const state of orcOf(states.get(item.section.index) ?? [], item)) {
      draft.append(orc, state.bytes, 1);
      draft.addRelocation(ip, {
        offset: draft.append(ip, new Uint8Array(4), 1),
        type: R_X86_64_PC32,
        symbol: draft.sectionSymbol(placed.section),
        addend: placed.offset + state.offset - item.start,
      });
    }
  }
}

function isCopiedEntryByEntry(table: SpecialTable): boolean {
  return table.extraction === 'keep' && table !== orcUnwindIp;
}

/** Pass 8: tables, in the order in which the post object has them, entries in the order of functions. */
export function extractTables(
  draft: ImageDraft,
  binder: Binder,
  layout: KeptLayout,
  side: UnitSide,
  kept: KeptSet,
): void {
  const made = new Map<string, number>();
  for (const item of kept.functions) {
    for (const entry of side.entries.get(item) ?? []) {
      if (!isCopiedEntryByEntry(entry.table)) continue;
      emitEntry(draft, binder, item, sectionFor(draft, made, entry), entry);
    }
  }
  emitOrc(draft, layout, side, kept);
}
