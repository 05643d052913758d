import type { BranchForm } from './rewritten-place.ts';

/** A near branch with a 32-bit displacement, as it stands in an object. */
export interface BranchAt {
  readonly form: BranchForm;
  /** Condition code 0-15 of a `jcc`. */
  readonly condition: number | undefined;
  /** Length of the whole instruction, prefix included. */
  readonly length: number;
  /** Offset of the 32-bit displacement from the start of the instruction. */
  readonly displacement: number;
}

/**
 * Reads the branch at an offset: `e8`, `e9` or `0f 80+cc`, after any CS prefixes (`2e`), which gcc adds so
 * that the kernel has room to put an lfence in front of an indirect branch.
 * @returns undefined if there is another instruction.
 */
export function branchAt(bytes: Uint8Array, offset: number): BranchAt | undefined {
  let at = offset;
  while (bytes[at] === 0x2e && at - offset < 4) at += 1;
  const first = bytes[at];
  const second = bytes[at + 1] ?? 0;
  if (first === 0xe8 || first === 0xe9) {
    const form = first === 0xe8 ? 'call' : 'jmp';
    return { form, condition: undefined, length: at + 5 - offset, displacement: at + 1 - offset };
  }
  if (first === 0x0f && second >= 0x80 && second <= 0x8f) {
    return { form: 'jcc', condition: second & 0xf, length: at + 6 - offset, displacement: at + 2 - offset };
  }
  return undefined;
}
