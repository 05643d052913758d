import type { ObjectFile, Relocation, SectionIndex } from '../../elf/model.ts';

/** A place in a section of an object: what a relocation against a defined symbol points at. */
export interface CodeTarget {
  readonly section: SectionIndex;
  /** Offset in that section, in bytes; may equal its size (ORC terminators). */
  readonly offset: number;
}

/**
 * The place that a table's relocation names: S + A, whether the symbol is a section or a function.
 *
 * Right for data fields (`.long x - .`, `.quad x`), whose addend is the plain distance. A displacement in
 * an instruction counts from the instruction's end, so its addend is smaller by the bytes that follow.
 * @returns undefined if the symbol is undefined, absolute or common.
 */
export function codeTarget(object: ObjectFile, relocation: Relocation): CodeTarget | undefined {
  const symbol = object.symbols[relocation.symbol];
  if (symbol === undefined || typeof symbol.place !== 'number') return undefined;
  return { section: symbol.place, offset: Number(symbol.value) + relocation.addend };
}
