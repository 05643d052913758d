/**
 * A unit as differencing sees it: items (functions and objects) that lie in slices of sections, and
 * references from place to place, resolved as far as the object alone allows.
 *
 * Relocations do not say what they mean. Assemblers turn most references to local symbols into "section
 * + addend", and a PC-relative addend has the distance from the field to the end of the instruction mixed
 * in; so instructions are decoded, and every reference is given as a place. Between functions that share a
 * section (`.sched.text`) the assembler resolves calls itself and leaves no relocation; these are found by
 * decoding, too, and look like any other reference here.
 */
import type { ObjectFile, Relocation, Section, SectionIndex, SymbolIndex } from '../elf/model.ts';
import type { SectionClass } from '../kernel/tables/classify-section.ts';

/** A named function or object. */
export interface UnitItem {
  readonly kind: 'function' | 'object';
  /** The global name if there is one, else the first local one. */
  readonly name: string;
  /** Other symbols of the same place and size. */
  readonly aliases: readonly string[];
  /** Name without the compiler's numbers, see `baseName`. */
  readonly base: string;
  readonly scope: 'global' | 'unit';
  readonly symbol: SymbolIndex;
  readonly section: Section;
  readonly sectionClass: SectionClass;
  /** Bytes [start, end) of the section belong to the item; all of it if nothing else lies there. */
  readonly start: number;
  readonly end: number;
  /** Offset of the symbol in the section, and the symbol's size. */
  readonly entry: number;
  readonly size: number;
}

/** What the place that holds a reference does with it. */
export type ReferenceUse =
  /** Goes there: call, jmp, jcc. */
  | 'branch'
  /** Reads or writes there. */
  | 'memory'
  /** Takes the address, or stores it in data. */
  | 'address';

export interface Reference {
  /** Offset of the field in its section. */
  readonly offset: number;
  /** Size of the field in bytes. */
  readonly width: number;
  /** R_X86_64_* */
  readonly type: number;
  /** Undefined for a branch that the assembler resolved itself. */
  readonly relocation: Relocation | undefined;
  readonly use: ReferenceUse;
  /** Bytes from the field's start to the end of its instruction, if PC-relative in text; else 0. */
  readonly trailing: number;
  readonly to: ReferencePlace;
}

export type ReferencePlace =
  | {
      readonly kind: 'external';
      readonly symbol: SymbolIndex;
      readonly name: string;
      readonly offset: number;
    }
  | { readonly kind: 'place'; readonly section: SectionIndex; readonly offset: number };

export interface Unit {
  readonly object: ObjectFile;
  /** Class of each section, by section index. */
  readonly classes: readonly SectionClass[];
  readonly items: readonly UnitItem[];
  /** Items of a section, by start. */
  readonly itemsIn: ReadonlyMap<SectionIndex, readonly UnitItem[]>;
  /** References of a section, by offset. */
  readonly referencesIn: ReadonlyMap<SectionIndex, readonly Reference[]>;
  /** Offsets that branches go to, in sections of code without items (`.altinstr_aux`), ascending. */
  readonly piecesIn: ReadonlyMap<SectionIndex, readonly number[]>;
}

/** References with their field in [from, to) of a section. */
export function referencesBetween(
  unit: Unit,
  section: SectionIndex,
  from: number,
  to: number,
): readonly Reference[] {
  const all = unit.referencesIn.get(section) ?? [];
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((all[middle]?.offset ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  const found: Reference[] = [];
  for (let at = low; at < all.length; at += 1) {
    const each = all[at];
    if (each === undefined || each.offset >= to) break;
    found.push(each);
  }
  return found;
}

/** References in an item's slice. */
export function referencesOf(unit: Unit, item: UnitItem): readonly Reference[] {
  return referencesBetween(unit, item.section.index, item.start, item.end);
}

/** Contents of an item's slice; zeroes for what lies in `.bss`. */
export function bytesOf(item: UnitItem): Uint8Array {
  return item.sectionClass === 'bss' || item.section.data.length === 0
    ? new Uint8Array(item.end - item.start)
    : item.section.data.subarray(item.start, item.end);
}
