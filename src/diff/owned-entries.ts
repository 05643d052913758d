/**
 * The entries of special sections, by the function whose code they are about.
 */
import { FormatError } from '../diagnostics/error.ts';
import { altInstructions } from '../kernel/tables/alternatives.ts';
import { orcUnwind, orcUnwindIp } from '../kernel/tables/orc.ts';
import { ownerField, type SpecialTable } from '../kernel/tables/special-table.ts';
import { type TableEntry, tableEntries } from '../kernel/tables/table-entries.ts';
import { tableOf } from '../kernel/tables/table-of.ts';
import { itemCovering, type Piece } from './target.ts';
import { type Reference, referencesBetween, type Unit, type UnitItem } from './unit.ts';

export interface OwnedEntry {
  readonly entry: TableEntry;
  readonly table: SpecialTable;
  /** Offset of the code that the entry is about, from the function's slice start. */
  readonly at: number;
  /** References in the entry, that of the owner included; offsets count from the section's start. */
  readonly references: readonly Reference[];
  /** The entry's part of `.altinstr_replacement`, for `.altinstructions` only. */
  readonly replacement: Piece | undefined;
  /** The entry's part of `.orc_unwind`, for `.orc_unwind_ip` only. */
  readonly orc: Uint8Array | undefined;
}

export type EntriesByFunction = ReadonlyMap<UnitItem, readonly OwnedEntry[]>;

function replacementOf(unit: Unit, entry: TableEntry, references: readonly Reference[]): Piece | undefined {
  const length = entry.bytes[11] ?? 0;
  const to = references.find((each) => each.offset === entry.offset + 4)?.to;
  if (entry.table !== altInstructions || to?.kind !== 'place') return undefined;
  const section = unit.object.sections[to.section];
  return section === undefined
    ? undefined
    : { section, start: to.offset, end: to.offset + length, kind: 'code' };
}

function ownerOf(unit: Unit, entry: TableEntry): UnitItem | undefined {
  if (entry.owner === undefined) return undefined;
  const { section, offset } = entry.owner;
  const item = itemCovering(unit, section, offset);
  if (item?.kind !== 'function') return undefined;
  // Only a terminator of ORC may lie at the end; it says that what follows is unknown.
  const inside = offset >= item.start && (offset < item.end || entry.table === orcUnwindIp);
  return inside ? item : undefined;
}

function orcTable(unit: Unit): Uint8Array | undefined {
  return unit.object.sections.find((section) => section.name === orcUnwind.section)?.data;
}

/**
 * Pass 0b: reads every table that has an owner field.
 * @throws FormatError if a table has another layout than expected
 */
export function ownedEntries(unit: Unit): EntriesByFunction {
  const found = new Map<UnitItem, OwnedEntry[]>();
  const orc = orcTable(unit);
  // By name: an assembler makes sections as it comes across them, so that a WARN in one function puts the
  // bug table before the jump table for all.
  const sections = unit.object.sections.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  for (const section of sections) {
    const table = tableOf(section.name);
    if (table === undefined || ownerField(table) === undefined || section.size === 0) continue;
    const entries = tableEntries(unit.object, section, table);
    if (table === orcUnwindIp && orc?.length !== entries.length * 6) {
      const message = `${unit.object.path}: ${entries.length} entries in ${section.name} for ${orc?.length ?? 0} bytes of .orc_unwind`;
      throw new FormatError('malformed_object', message);
    }
    for (const entry of entries) {
      const owner = ownerOf(unit, entry);
      if (owner === undefined || entry.owner === undefined) continue;
      const size = table.entrySize ?? 0;
      const references = referencesBetween(unit, section.index, entry.offset, entry.offset + size);
      const list = found.get(owner) ?? [];
      list.push({
        entry,
        table,
        at: entry.owner.offset - owner.start,
        references,
        replacement: replacementOf(unit, entry, references),
        orc: table === orcUnwindIp ? orc?.subarray(entry.number * 6, entry.number * 6 + 6) : undefined,
      });
      found.set(owner, list);
    }
  }
  return found;
}
