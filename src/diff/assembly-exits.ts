/**
 * Where code leaves a slice in a way that no relocation tells: the assembler knew both ends, and put the
 * distance into the instruction. It is right only as long as both lie where they lay.
 */
import { decodeText, type TextInstruction } from '../x86/decode-text.ts';
import type { CodeSlice } from './assembly-slices.ts';

/** A field in an instruction that has the distance to a place outside of the slice; offsets from the section's start. */
export interface CodeExit {
  readonly kind: 'branch' | 'memory';
  readonly instruction: number;
  readonly field: number;
  /** Size of the field in bytes: 1 for a short branch, else 4. */
  readonly width: number;
  /** Where the instruction ends, from which the distance counts. */
  readonly end: number;
  readonly target: number;
}

export interface CodeExits {
  readonly exits: readonly CodeExit[];
  /** Whether the last instruction leads into whatever lies behind the slice. */
  readonly fallsThrough: boolean;
  /** Offset of a byte that is no instruction: data, or a reader that is out of step. */
  readonly noCode: number | undefined;
}

function exitOf(slice: CodeSlice, each: TextInstruction): CodeExit | undefined {
  const instruction = slice.start + each.offset;
  const end = instruction + each.length;
  const found =
    each.branch !== undefined && each.target !== undefined && each.immediate !== undefined
      ? { kind: 'branch' as const, field: instruction + each.immediate, to: each.target }
      : each.memory !== undefined && each.displacement !== undefined
        ? { kind: 'memory' as const, field: instruction + each.displacement, to: each.memory }
        : undefined;
  if (found === undefined) return undefined;
  const target = slice.start + found.to;
  if (target >= slice.start && target < slice.end) return undefined;
  const width = found.kind === 'branch' ? end - found.field : 4;
  return { kind: found.kind, instruction, field: found.field, width, end, target };
}

/** @param instructions those of the slice, offsets from its start */
export function codeExits(slice: CodeSlice, instructions: readonly TextInstruction[]): CodeExits {
  const relocated = new Set(slice.section.relocations.map(({ offset }) => offset));
  const exits = instructions
    .map((each) => exitOf(slice, each))
    .filter((each) => each !== undefined && !relocated.has(each.field));
  const invalid = instructions.find(({ valid }) => !valid);
  const last = instructions.at(-1);
  return {
    exits: exits.filter((each) => each !== undefined),
    fallsThrough: last !== undefined && !last.ends && slice.end < slice.section.size,
    noCode: invalid === undefined ? undefined : slice.start + invalid.offset,
  };
}

export function instructionsOf(slice: CodeSlice): readonly TextInstruction[] {
  return decodeText(slice.section.data.subarray(slice.start, slice.end));
}
