/**
 * Why a unit does not match: data, so that text, JSON and tests can each make of it what they need.
 */
import type { SourceLine } from '../elf/line-table.ts';
import type { SectionIndex } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';

/** A byte that is neither equal nor explained. */
export interface CodeMismatch {
  readonly kind: 'code';
  readonly unit: string;
  /** Function that covers the place, and the place's offset in it; section and offset where none does. */
  readonly name: string;
  readonly offset: number;
  /** Offset of the first differing byte in its section. */
  readonly sectionOffset: number;
  readonly section: SectionIndex;
  /** Run address of the function (or section) start. */
  readonly start: Address;
  readonly found: Uint8Array;
  readonly expected: Uint8Array;
  /** Of the source that was compiled, where the object tells. */
  readonly line: SourceLine | undefined;
  /** What the kernel's tables say about the place: `return`, `jump-label`, ...; undefined: fixed code. */
  readonly place: string | undefined;
}

/** The run code refers to something else than the source says. */
export interface SymbolMismatch {
  readonly kind: 'symbol';
  readonly unit: string;
  readonly name: string;
  /** What the run code shows, and what it was expected to be. */
  readonly found: string;
  readonly expected: string;
  readonly reason: MismatchCode;
}

export type Mismatch = CodeMismatch | SymbolMismatch;

/** Under which code a mismatch is reported: an abort cause of the original. */
export type MismatchCode = 'no_match' | 'failed_to_find';

export function symbolMismatch(
  unit: string,
  name: string,
  found: string,
  expected: string,
  reason: MismatchCode = 'no_match',
): SymbolMismatch {
  return { kind: 'symbol', unit, name, found, expected, reason };
}

export function codeOf(mismatch: Mismatch): MismatchCode {
  return mismatch.kind === 'symbol' ? mismatch.reason : 'no_match';
}
