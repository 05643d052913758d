/**
 * The entries that the kernel's tables have about a unit's code: the same as in the unit, no more and no less.
 *
 * Code can be the same byte for byte and mean something else: a branch that another key turns, a fault that
 * another fixup handles. So each entry is compared, numbers as they are and references by meaning, but
 * for bits that the kernel sets as it runs.
 */
import { hex } from '../diagnostics/hex.ts';
import type { ObjectFile, Section, SectionIndex } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import { bugTable } from '../kernel/tables/bug-table.ts';
import { JUMP_ENTRY_NOP_HACK, jumpTable } from '../kernel/tables/jump-table.ts';
import { orcUnwind, orcUnwindIp } from '../kernel/tables/orc.ts';
import { staticCallSites } from '../kernel/tables/static-calls.ts';
import { type TableEntry, tableEntries } from '../kernel/tables/table-entries.ts';
import type { LearnedValues } from './learned-values.ts';
import type { SymbolMismatch } from './mismatch.ts';
import { type LinkedTable, linkedTables, ORC_SIZE, type RunEntry, type RunTables } from './run-tables.ts';
import { compareTemplate, type Observation } from './variant.ts';

/** BUGFLAG_DONE (include/asm-generic/bug.h): this WARN_ONCE has fired. */
const BUG_FLAGS_OFFSET = 10;
const BUGFLAG_DONE = 1 << 2;
const JUMP_KEY_OFFSET = 8;
const STATIC_KEY_OFFSET = 4;
/** STATIC_CALL_SITE_INIT, and what jump_entry_set_init() makes of the same bit: set for code of `.init` only. */
const INIT_BIT = 2;

/** A section whose code has been matched. */
export interface MatchedSection {
  readonly section: Section;
  readonly base: Address;
}

/** The entry's bytes without what the kernel sets by itself. */
function steadyBytes(table: LinkedTable, bytes: Uint8Array): Uint8Array {
  const steady = Uint8Array.from(bytes);
  const clear = (offset: number, bits: number): void => {
    steady[offset] = (steady[offset] ?? 0) & ~bits;
  };
  if (table.table === bugTable) clear(BUG_FLAGS_OFFSET, BUGFLAG_DONE);
  if (table.table === jumpTable) clear(JUMP_KEY_OFFSET, INIT_BIT);
  if (table.table === staticCallSites) clear(STATIC_KEY_OFFSET, INIT_BIT);
  return steady;
}

/** As the kernel has it after boot: the bits that tell objtool something, or that the code is `.init`, are gone. */
function steadyEntry(table: LinkedTable, entry: TableEntry): TableEntry {
  const keyOffset =
    table.table === jumpTable
      ? JUMP_KEY_OFFSET
      : table.table === staticCallSites
        ? STATIC_KEY_OFFSET
        : undefined;
  return {
    ...entry,
    relocations: entry.relocations.map((relocation) => ({
      ...relocation,
      offset: relocation.offset - entry.offset,
      addend:
        relocation.offset - entry.offset === keyOffset
          ? relocation.addend - (relocation.addend & JUMP_ENTRY_NOP_HACK)
          : relocation.addend,
    })),
  };
}

export class TableComparison {
  readonly #object: ObjectFile;
  readonly #run: RunTables;
  readonly #learned: LearnedValues;
  readonly #entries: ReadonlyMap<LinkedTable, ReadonlyMap<SectionIndex, readonly TableEntry[]>>;
  readonly #orc: Uint8Array;
  /** Entries that were equal. */
  compared = 0;

  constructor(object: ObjectFile, run: RunTables, learned: LearnedValues) {
    this.#object = object;
    this.#run = run;
    this.#learned = learned;
    this.#entries = this.#readEntries();
    this.#orc = object.sections.find((each) => each.name === orcUnwind.section)?.data ?? new Uint8Array();
  }

  /** The unit's own entries, by the section that they are about: read once for all of them. */
  #readEntries(): ReadonlyMap<LinkedTable, ReadonlyMap<SectionIndex, readonly TableEntry[]>> {
    return new Map(
      linkedTables.map((table) => {
        const bySection = new Map<SectionIndex, TableEntry[]>();
        for (const section of this.#object.sections) {
          if (section.name !== table.table.section || section.size === 0) continue;
          for (const entry of tableEntries(this.#object, section, table.table)) {
            if (entry.owner === undefined) continue;
            const list = bySection.get(entry.owner.section);
            if (list === undefined) bySection.set(entry.owner.section, [entry]);
            else list.push(entry);
          }
        }
        return [table, bySection];
      }),
    );
  }

  #mismatch(name: string, found: string, expected: string): SymbolMismatch {
    return { kind: 'symbol', unit: this.#object.path, name, found, expected, reason: 'no_match' };
  }

  /** Compares what all tables have about a section; the first difference, if there is one. */
  compare(matched: MatchedSection): SymbolMismatch | undefined {
    for (const table of linkedTables) {
      const mismatch = this.#table(table, matched);
      if (mismatch !== undefined) return mismatch;
    }
    return undefined;
  }

  #table(table: LinkedTable, { section, base }: MatchedSection): SymbolMismatch | undefined {
    const name = table.table.section;
    const entries = this.#entries.get(table)?.get(section.index) ?? [];
    const isOrc = table.table === orcUnwindIp;
    const end = addressAt(base, isOrc ? section.size : section.size - 1);
    const found = this.#run.about(table, base, end);
    if (found === undefined) {
      return entries.length === 0
        ? undefined
        : this.#mismatch(name, 'no such table', 'one, as this unit has');
    }
    // Each section of ORC ends with a terminator, which is where the next section begins: both have entries there.
    const isShared = (address: Address): boolean => isOrc && (address === base || address === end);
    const inside = found.filter(({ owner }) => !isShared(owner));
    const expected = entries.filter(({ owner }) => !isShared(addressAt(base, owner?.offset ?? 0)));
    if (inside.length !== expected.length) {
      return this.#mismatch(
        `${name} about ${section.name}`,
        `${inside.length} entries`,
        `${expected.length} as in the unit`,
      );
    }
    const byOwner = new Map<bigint, RunEntry[]>();
    for (const each of found) byOwner.set(each.owner, [...(byOwner.get(each.owner) ?? []), each]);
    for (const entry of entries) {
      const owner = addressAt(base, entry.owner?.offset ?? 0);
      const candidates = byOwner.get(owner) ?? [];
      const observed = candidates.map((each) => this.#compareEntry(table, entry, each)).find(Boolean);
      if (observed === undefined) {
        const place = `${section.name}+${hex(entry.owner?.offset ?? 0)}`;
        const what = candidates.length === 0 ? 'no entry' : 'an entry that says something else';
        return this.#mismatch(`${name} about ${place}`, what, 'the one of the unit');
      }
      const conflict = observed.map((each) => this.#learned.learn(each)).find(Boolean);
      if (conflict !== undefined) return conflict;
      this.compared += 1;
    }
    return undefined;
  }

  /** What the entry's references show, if they agree with what the code has shown and all else is equal. */
  #compareEntry(table: LinkedTable, entry: TableEntry, run: RunEntry): readonly Observation[] | undefined {
    const { relocations } = steadyEntry(table, entry);
    const template = { bytes: entry.bytes, relocations, path: this.#object.path, isData: true };
    const observed = compareTemplate(template, steadyBytes(table, run.bytes), 0, run.at);
    if ('differsAt' in observed) return undefined;
    if (table.table === orcUnwindIp && !this.#sameOrc(entry, run)) return undefined;
    return observed.every((each) => this.#learned.isPlausible(each)) ? observed : undefined;
  }

  #sameOrc(entry: TableEntry, run: RunEntry): boolean {
    const expected = this.#orc.subarray(entry.number * ORC_SIZE, (entry.number + 1) * ORC_SIZE);
    return run.orc !== undefined && Buffer.compare(expected, run.orc) === 0;
  }
}
