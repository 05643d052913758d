/**
 * Compares run bytes with one variant of a piece of code: template bytes whose relocated fields may
 * hold anything, but tell the value of the symbol that they refer to.
 */
import { R_X86_64_NONE } from '../elf/constants.ts';
import type { Relocation } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import { isNopSequence } from '../x86/nops.ts';
import { fieldSize, symbolValueFrom } from './relocation-value.ts';
import { firstAt } from './sorted.ts';

/** One symbol value that the run code shows. */
export interface Observation {
  readonly relocation: Relocation;
  readonly value: Address;
  /** The field is a datum, and no instruction's: its distance counts from the field itself. */
  readonly isDatum: boolean;
}

/** A difference: offset of the first byte that is neither equal nor relocated. */
export interface Difference {
  readonly differsAt: number;
}

/** A piece of a section, or of what would replace it. */
export interface Template {
  readonly section: {
    readonly data: Uint8Array;
    /** Sorted by offset. */
    readonly relocations: readonly Relocation[];
  };
  /** The piece: offsets in the section. */
  readonly from: number;
  readonly to: number;
  readonly path: string;
  /** No code, but a table or a constant. */
  readonly isData?: boolean;
}

/** Number of the first relocation at or behind an offset. */
function firstFrom(relocations: readonly Relocation[], offset: number): number {
  return firstAt(relocations.length, (i) => (relocations[i]?.offset ?? offset) >= offset);
}

/**
 * Every byte of the template, at `offset` of `run`. `at` is the run address of that first byte.
 */
export function compareTemplate(
  { section, from, to, path, isData = false }: Template,
  run: Uint8Array,
  offset: number,
  at: Address,
): readonly Observation[] | Difference {
  const { data, relocations } = section;
  const observations: Observation[] = [];
  const shift = offset - from;
  const start = addressAt(at, -offset);
  let next = firstFrom(relocations, from);
  let i = from;
  for (;;) {
    const relocation = relocations[next];
    const field = relocation === undefined || relocation.offset >= to ? to : relocation.offset;
    for (; i < field; i += 1) {
      if (data[i] !== run[i + shift]) return { differsAt: i - from };
    }
    if (relocation === undefined || field === to) return observations;
    // Two relocations of one field cannot be told apart.
    if (relocation.offset < i) return { differsAt: i - from };
    next += 1;
    // What objtool leaves of a reference that it took away.
    if (relocation.type === R_X86_64_NONE) continue;
    const value = symbolValueFrom(relocation, run, i + shift, start);
    observations.push({ relocation, value, isDatum: isData });
    i += fieldSize(relocation, path);
  }
}

/**
 * As compareTemplate, for a place of `length` bytes that the kernel fills up with nops, and whose own
 * padding it replaces by longer nops (add_nops(), optimize_nops()).
 */
export function compareVariant(
  template: Template,
  run: Uint8Array,
  offset: number,
  length: number,
  at: Address,
): readonly Observation[] | undefined {
  const { section, from, path } = template;
  const { data, relocations } = section;
  const last = relocations[firstFrom(relocations, template.to) - 1];
  const fixed = last === undefined || last.offset < from ? from : last.offset + fieldSize(last, path);
  let to = template.to;
  while (to > fixed && data[to - 1] === 0x90) to -= 1;
  const compared = compareTemplate({ ...template, to }, run, offset, at);
  if ('differsAt' in compared) return undefined;
  return isNopSequence(run.subarray(offset + to - from, offset + length)) ? compared : undefined;
}
