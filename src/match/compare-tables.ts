/**
 * The entries that the kernel's tables have about a unit's code: the same as in the unit, no more and no less.
 *
 * Code can be the same byte for byte and mean something else: a branch that another key turns, a fault that
 * another fixup handles. So each entry is compared, numbers as they are and references by meaning, but
 * for bits that the kernel sets as it runs.
 */
import { hex } from '../diagnostics/hex.ts';
import type { ObjectFile, Relocation, Section, SectionIndex } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { SymbolScope } from '../kernel/symbol-scope.ts';
import { bugTable } from '../kernel/tables/bug-table.ts';
import { JUMP_ENTRY_NOP_HACK, jumpTable } from '../kernel/tables/jump-table.ts';
import { STATIC_CALL_TRAMPOLINE, staticCallKeyName, staticCallSites } from '../kernel/tables/static-calls.ts';
import { type TableEntry, tableEntries } from '../kernel/tables/table-entries.ts';
import type { CodeLayout } from './code-layout.ts';
import type { LearnedValues } from './learned-values.ts';
import { type SymbolMismatch, symbolMismatch } from './mismatch.ts';
import type { RunEntry, RunTables } from './run-tables.ts';
import { type LinkedTable, linkedTables } from './table-bounds.ts';
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
  readonly layout: CodeLayout;
}

/** The entry's bytes without what the kernel sets by itself. */
function steadyBytes(table: LinkedTable, { at, bytes }: RunEntry): Uint8Array {
  const steady = Uint8Array.from(bytes);
  const clear = (offset: number, bits: number): void => {
    steady[offset] = (steady[offset] ?? 0) & ~bits;
  };
  if (table.table === bugTable) clear(BUG_FLAGS_OFFSET, BUGFLAG_DONE);
  if (table.table === jumpTable) clear(JUMP_KEY_OFFSET, INIT_BIT);
  // Here the bit is the key's, and the field holds a distance (static_call_set_init()): in a module the table may begin at
  // any address, and the bit of the field is another one.
  if (table.table === staticCallSites) {
    const field = new DataView(steady.buffer, STATIC_KEY_OFFSET, 4);
    const key = addressAt(at, STATIC_KEY_OFFSET + field.getInt32(0, true));
    if ((key & BigInt(INIT_BIT)) !== 0n) field.setInt32(0, field.getInt32(0, true) - INIT_BIT, true);
  }
  return steady;
}

/** As the kernel has it after boot: the bits that tell objtool something, or that the code is `.init`, are gone. */
function steadyRelocations(table: LinkedTable, entry: TableEntry): readonly Relocation[] {
  const keyOffset =
    table.table === jumpTable
      ? JUMP_KEY_OFFSET
      : table.table === staticCallSites
        ? STATIC_KEY_OFFSET
        : undefined;
  return entry.relocations.map((relocation) => ({
    ...relocation,
    offset: relocation.offset - entry.offset,
    addend:
      relocation.offset - entry.offset === keyOffset
        ? relocation.addend - (relocation.addend & JUMP_ENTRY_NOP_HACK)
        : relocation.addend,
  }));
}

export class TableComparison {
  readonly #object: ObjectFile;
  readonly #run: RunTables;
  readonly #scope: SymbolScope;
  readonly #learned: LearnedValues;
  readonly #entries: ReadonlyMap<LinkedTable, ReadonlyMap<SectionIndex, readonly TableEntry[]>>;

  /** `scope`: of the target whose tables they are. */
  constructor(object: ObjectFile, run: RunTables, scope: SymbolScope, learned: LearnedValues) {
    this.#object = object;
    this.#run = run;
    this.#scope = scope;
    this.#learned = learned;
    this.#entries = this.#readEntries();
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
    return symbolMismatch(this.#object.path, name, found, expected);
  }

  /** Compares what all tables have about a section; the first difference, if there is one. */
  compare(matched: MatchedSection): SymbolMismatch | undefined {
    for (const table of linkedTables) {
      const mismatch = this.#table(table, matched);
      if (mismatch !== undefined) return mismatch;
    }
    return undefined;
  }

  #table(table: LinkedTable, { section, base, layout }: MatchedSection): SymbolMismatch | undefined {
    const name = table.table.section;
    const entries = this.#entries.get(table)?.get(section.index) ?? [];
    const place = (offset: number): Address => addressAt(base, layout.toRun(offset));
    const ownerOf = (entry: TableEntry): Address => place(entry.owner?.offset ?? 0);
    const end = addressAt(place(section.size), -1);
    const found = this.#run.about(table, this.#scope.target, base, end);
    if (found === undefined) {
      return entries.length === 0
        ? undefined
        : this.#mismatch(name, 'no such table', 'one, as this unit has');
    }
    if (found.length !== entries.length) {
      return this.#mismatch(
        `${name} about ${section.name}`,
        `${found.length} entries`,
        `${entries.length} as in the unit`,
      );
    }
    const byOwner = new Map<bigint, RunEntry[]>();
    for (const each of found) byOwner.set(each.owner, [...(byOwner.get(each.owner) ?? []), each]);
    for (const entry of entries) {
      const candidates = byOwner.get(ownerOf(entry)) ?? [];
      const observed = candidates.map((each) => this.#compareEntry(table, entry, each)).find(Boolean);
      if (observed === undefined) {
        const where = `${section.name}+${hex(entry.owner?.offset ?? 0)}`;
        const what = candidates.length === 0 ? 'no entry' : 'an entry that says something else';
        return this.#mismatch(`${name} about ${where}`, what, 'the one of the unit');
      }
      const conflict = observed.map((each) => this.#learned.learn(each)).find(Boolean);
      if (conflict !== undefined) return conflict;
    }
    return undefined;
  }

  /** What the entry's references show, if they agree with what the code has shown and all else is equal. */
  #compareEntry(table: LinkedTable, entry: TableEntry, run: RunEntry): readonly Observation[] | undefined {
    const section = { data: entry.bytes, relocations: steadyRelocations(table, entry) };
    const template = { section, from: 0, to: entry.bytes.length, path: this.#object.path, isData: true };
    const observed = compareTemplate(template, steadyBytes(table, run), 0, run.at);
    if ('differsAt' in observed) return undefined;
    const references = observed.filter((each) => !this.#isResolvedKey(table, each));
    return references.every((each) => this.#learned.isPlausible(each)) ? references : undefined;
  }

  /**
   * A module may not see the key of a static call, and names the trampoline instead; the kernel puts the key there when it
   * loads the module (static_call_add_module()).
   */
  #isResolvedKey(table: LinkedTable, { relocation, value }: Observation): boolean {
    const name = this.#object.symbols[relocation.symbol]?.name ?? '';
    if (table.table !== staticCallSites || !name.startsWith(STATIC_CALL_TRAMPOLINE)) return false;
    return this.#scope.reachable(staticCallKeyName(name)).some(({ address }) => address === value);
  }
}
