/**
 * A function of assembly in a section of its own: what stands where, and which branches need a relocation.
 *
 * A near branch out of the function takes a relocation in the place of its distance. A short one has no
 * room for that, and making it longer would move all code behind it. So it goes to a near jump that is added
 * at the end of the function, or before its start if it leads backwards: the function ends, or begins, within
 * its reach, or the target would not be. Code that runs on into the next function gets such a jump, too.
 *
 *     A:  ...                 added:  e9 ..  jmp A    with a relocation
 *     B:  75 f0  jne A            B:  75 f9  jne added
 */
import { hex } from '../diagnostics/hex.ts';
import type { TextInstruction } from '../x86/decode-text.ts';
import { type CodeExit, codeExits, instructionsOf } from './assembly-exits.ts';
import { type CodeSlice, sliceAt } from './assembly-slices.ts';

/** A jump that is added: 0xe9, and a distance of four bytes. */
export interface AddedJump {
  /** From the start of the new section. */
  readonly offset: number;
  /** In the old section. */
  readonly target: number;
  /** Instruction in the old section whose unwind state holds for it; undefined if it is the one before it. */
  readonly from: number | undefined;
}

export interface SliceLayout {
  readonly slice: CodeSlice;
  readonly instructions: readonly TextInstruction[];
  /** Bytes in the new section before the slice's first. */
  readonly before: number;
  /** Size of the new section. */
  readonly size: number;
  readonly jumps: readonly AddedJump[];
  /** Distances that get a relocation. */
  readonly near: readonly CodeExit[];
  /** Distances of one byte, as they have to be. */
  readonly short: readonly { readonly field: number; readonly distance: number }[];
  /** Why the slice cannot be moved: sentences about it without its name. */
  readonly obstacles: readonly string[];
}

const JUMP_SIZE = 5;

/** Offset in the new section; what lies behind the slice is taken as its end. */
export function movedOffset(layout: SliceLayout, offset: number): number {
  const { slice, before, size } = layout;
  return offset > slice.end ? size : offset - slice.start + before;
}

function alignUp(size: number, alignment: number): number {
  return Math.ceil(size / alignment) * alignment;
}

/** Jumps for short branches, one for each target, by target. */
function jumpsFor(exits: readonly CodeExit[], first: number): AddedJump[] {
  const byTarget = new Map(exits.toReversed().map((exit) => [exit.target, exit]));
  return [...byTarget.values()]
    .sort((a, b) => a.target - b.target)
    .map((exit, index) => ({
      offset: first + index * JUMP_SIZE,
      target: exit.target,
      from: exit.instruction,
    }));
}

function place(slice: CodeSlice, offset: number): string {
  return `+${hex(offset - slice.entry)}`;
}

function isShort(exit: CodeExit): boolean {
  return exit.kind === 'branch' && exit.width === 1;
}

/** Why an exit cannot be led to its target from elsewhere; undefined if it can. */
function exitObstacle(slice: CodeSlice, slices: readonly CodeSlice[], exit: CodeExit): string | undefined {
  const to = sliceAt(slices, exit.target);
  const where = place(slice, exit.instruction);
  if (exit.width !== 1 && exit.width !== 4) return `has a branch of ${exit.width} bytes at ${where}`;
  const isCode = to !== undefined && exit.target >= to.start && exit.target < to.end;
  return isCode ? undefined : `leads at ${where} to where there is no code of this file`;
}

function symbolObstacles(slice: CodeSlice, slices: readonly CodeSlice[], names: readonly string[]): string[] {
  const [symbol] = slice.symbols;
  const size = Math.max(...slice.symbols.map((each) => each.size));
  const inside = slices.find(({ entry }) => entry > slice.entry && entry < slice.entry + size);
  return [
    ...(symbol.index === 0 ? ['has code without a symbol of type FUNC'] : []),
    ...(size === 0 ? ['has no size: no SYM_FUNC_END'] : []),
    ...(inside === undefined ? [] : [`has another function in it, ${inside.symbols[0].name}`]),
    ...(names.length === 0 ? [] : [`is entered in its middle, too, as ${names.slice(0, 3).join(', ')}`]),
  ];
}

/**
 * @param slices all of the section
 * @param entries names under which other units come into the middle of the slice
 */
export function layoutSlice(
  slice: CodeSlice,
  slices: readonly CodeSlice[],
  entries: readonly string[],
): SliceLayout {
  const instructions = instructionsOf(slice);
  const { exits: all, fallsThrough, noCode } = codeExits(slice, instructions);
  const exits = all.filter((exit) => exitObstacle(slice, slices, exit) === undefined);
  const back = exits.filter((exit) => isShort(exit) && exit.target < slice.start);
  const ahead = exits.filter((exit) => isShort(exit) && exit.target >= slice.end);

  const backTargets = new Set(back.map(({ target }) => target)).size;
  const before = alignUp(backTargets * JUMP_SIZE, Math.max(slice.section.alignment, 1));
  const next = slices.find(({ start }) => start >= slice.end);
  const through: AddedJump[] =
    fallsThrough && next !== undefined
      ? [{ offset: before + slice.end - slice.start, target: next.entry, from: undefined }]
      : [];
  const afterThrough = before + slice.end - slice.start + through.length * JUMP_SIZE;
  const jumps = [
    ...jumpsFor(back, before - backTargets * JUMP_SIZE),
    ...through,
    ...jumpsFor(ahead, afterThrough),
  ];

  const obstacles = [
    ...symbolObstacles(slice, slices, entries),
    ...(noCode === undefined ? [] : [`has bytes at ${place(slice, noCode)} that are no instruction`]),
    ...all.flatMap((exit) => exitObstacle(slice, slices, exit) ?? []),
  ];
  const short = [...back, ...ahead].map((exit) => {
    const jump = jumps.find((each) => each.from !== undefined && each.target === exit.target);
    const distance = (jump?.offset ?? 0) - (exit.end - slice.start + before);
    if (distance < -0x80 || distance > 0x7f) {
      obstacles.push(`has a short branch at ${place(slice, exit.instruction)} that cannot be made to reach`);
    }
    return { field: exit.field, distance };
  });
  const added = jumps.filter(({ offset }) => offset >= before).length * JUMP_SIZE;
  return {
    slice,
    instructions,
    before,
    size: before + slice.end - slice.start + added,
    jumps,
    near: exits.filter((exit) => exit.width === 4),
    short,
    obstacles,
  };
}
