/**
 * What the ORC unwinder knows of a unit's code, compared with what the kernel has of it.
 *
 * A stack that runs through the code is unwound by it, so that whoever decides where tasks are decides by it, too. There
 * is an entry for every fourth instruction or so, more than of all other tables: they are compared as numbers.
 */

import { hex } from '../diagnostics/hex.ts';
import type { ObjectFile, Section, SectionIndex } from '../elf/model.ts';
import { addressAt } from '../kernel/address.ts';
import { codeTarget } from '../kernel/tables/code-target.ts';
import { orcUnwind, orcUnwindIp } from '../kernel/tables/orc.ts';
import { sameLayout } from './code-layout.ts';
import type { MatchedSection } from './compare-tables.ts';
import { type SymbolMismatch, symbolMismatch } from './mismatch.ts';
import type { RunTables } from './run-tables.ts';
import { orcEntries } from './table-bounds.ts';

/** The unit's own entries about a section. */
interface UnitOrc {
  readonly offset: number;
  readonly entry: Uint8Array;
}

function isSame(a: UnitOrc, b: UnitOrc | undefined): boolean {
  return b !== undefined && a.offset === b.offset && Buffer.compare(a.entry, b.entry) === 0;
}

export class OrcComparison {
  readonly #object: ObjectFile;
  readonly #run: RunTables;
  readonly #target: string;
  readonly #entries: ReadonlyMap<SectionIndex, readonly UnitOrc[]>;

  /** `target`: whose tables they are. */
  constructor(object: ObjectFile, run: RunTables, target: string) {
    this.#object = object;
    this.#run = run;
    this.#target = target;
    this.#entries = readEntries(object);
  }

  compare({ section, base, layout }: MatchedSection): SymbolMismatch | undefined {
    // objtool leaves an entry out where the one before says the same, so that they depend on what lies before.
    if (layout !== sameLayout) return undefined;
    const mine = this.#entries.get(section.index) ?? [];
    const found = this.#run.orcAbout(this.#target, base, addressAt(base, section.size));
    const about = `${orcUnwindIp.section} about ${section.name}`;
    if (found === undefined) {
      return mine.length === 0 ? undefined : this.#mismatch(about, 'no such table', 'one, as this unit has');
    }
    const theirs = found.offsets.map((offset, i) => ({
      offset,
      entry: found.entries[i] ?? new Uint8Array(),
    }));
    // Each section ends with a terminator, which is where the next one begins: both have entries there.
    const isInside = ({ offset }: UnitOrc): boolean => offset > 0 && offset < section.size;
    const [inner, expected] = [theirs.filter(isInside), mine.filter(isInside)];
    if (inner.length !== expected.length) {
      return this.#mismatch(about, `${inner.length} entries`, `${expected.length} as in the unit`);
    }
    const other =
      expected.find((each, i) => !isSame(each, inner[i])) ??
      mine.filter((each) => !isInside(each)).find((each) => !theirs.some((run) => isSame(each, run)));
    if (other === undefined) return undefined;
    const isThere = theirs.some(({ offset }) => offset === other.offset);
    const what = isThere ? 'an entry that says something else' : 'no entry';
    return this.#mismatch(`${about}+${hex(other.offset)}`, what, 'the one of the unit');
  }

  #mismatch(name: string, found: string, expected: string): SymbolMismatch {
    return symbolMismatch(this.#object.path, name, found, expected);
  }
}

function readEntries(object: ObjectFile): ReadonlyMap<SectionIndex, readonly UnitOrc[]> {
  const bySection = new Map<SectionIndex, UnitOrc[]>();
  const named = (name: string): readonly Section[] => object.sections.filter((each) => each.name === name);
  const [says] = named(orcUnwind.section);
  const size = orcEntries.entrySize;
  for (const section of named(orcUnwindIp.section)) {
    for (const relocation of section.relocations) {
      const owner = codeTarget(object, relocation);
      const number = relocation.offset / 4;
      const entry = says?.data.subarray(number * size, (number + 1) * size);
      if (owner === undefined || entry === undefined) continue;
      const list = bySection.get(owner.section);
      const one = { offset: owner.offset, entry };
      if (list === undefined) bySection.set(owner.section, [one]);
      else list.push(one);
    }
  }
  for (const list of bySection.values()) list.sort((a, b) => a.offset - b.offset);
  return bySection;
}
