/**
 * Compares run bytes with one variant of a piece of code: template bytes whose relocated fields may
 * hold anything, but tell the value of the symbol that they refer to.
 */
import { R_X86_64_NONE } from '../elf/constants.ts';
import type { Relocation } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import { isNopSequence } from '../x86/nops.ts';
import { fieldSize, symbolValueFrom } from './relocation-value.ts';

/** One symbol value that the run code shows. */
export interface Observation {
  readonly relocation: Relocation;
  readonly value: Address;
  /** Run address of the field. */
  readonly place: Address;
  /** The field is a datum, and no instruction's: its distance counts from the field itself. */
  readonly isDatum: boolean;
}

/** A difference: offset of the first byte that is neither equal nor relocated. */
export interface Difference {
  readonly differsAt: number;
}

export interface Template {
  readonly bytes: Uint8Array;
  /** With offsets that count from the first byte of `bytes`, sorted. */
  readonly relocations: readonly Relocation[];
  readonly path: string;
  /** No code, but a table or a constant. */
  readonly isData?: boolean;
}

/**
 * Every byte of the template, at `offset` of `run`. `at` is the run address of that first byte.
 */
export function compareTemplate(
  template: Template,
  run: Uint8Array,
  offset: number,
  at: Address,
): readonly Observation[] | Difference {
  const observations: Observation[] = [];
  let next = 0;
  let i = 0;
  while (i < template.bytes.length) {
    const relocation = template.relocations[next];
    if (relocation?.type === R_X86_64_NONE && relocation.offset === i) {
      // What objtool leaves of a reference that it took away.
      next += 1;
      continue;
    }
    if (relocation !== undefined && relocation.offset === i) {
      const place = addressAt(at, i);
      const value = symbolValueFrom(relocation, run, offset + i, place);
      observations.push({ relocation, value, place, isDatum: template.isData === true });
      i += fieldSize(relocation, template.path);
      next += 1;
      continue;
    }
    if (template.bytes[i] !== run[offset + i]) return { differsAt: i };
    i += 1;
  }
  return observations;
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
  let head = template.bytes.length;
  const lastField = template.relocations.at(-1);
  const fixed = lastField === undefined ? 0 : lastField.offset + fieldSize(lastField, template.path);
  while (head > fixed && template.bytes[head - 1] === 0x90) head -= 1;
  const compared = compareTemplate({ ...template, bytes: template.bytes.subarray(0, head) }, run, offset, at);
  if ('differsAt' in compared) return undefined;
  return isNopSequence(run.subarray(offset + head, offset + length)) ? compared : undefined;
}
