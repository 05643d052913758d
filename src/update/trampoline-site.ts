/**
 * Where in an old function the jump to its replacement goes.
 *
 * The first five bytes of a traced function are ftrace's: a nop, or a call that ftrace, a kprobe or a BPF program
 * has put there. Written after them, the jump leaves all of these working; a function without them takes it at
 * its first byte. A jump has five bytes and covers whole instructions, so that no return address and no branch
 * of the old code points into the middle of what is left of it.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { STT_FUNC } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';
import type { Decoder } from '../x86/decoder.ts';

export type LivepatchReason = 'jump-label' | 'static-call' | 'no-room';

export interface TrampolineSite {
  /** Bytes from the function's start. */
  readonly offset: number;
  /** Bytes of whole instructions there, at least 5; of the jump alone where there is no room for it. */
  readonly size: number;
  /**
   * Why the jump cannot be written, where the function can be replaced all the same at its ftrace entry: it ends
   * too soon behind it; or the kernel rewrites a place among these bytes at any time and would find our
   * jump there. (A lock prefix is in the way only on a machine that booted with one CPU; the core looks.)
   */
  readonly needsLivepatch: LivepatchReason | null;
}

const JUMP_SIZE = 5;

/**
 * Finds the site in each of the functions named, in the order of the names.
 * @param pre the plainly compiled unit
 * @throws RefusedError for a function that is too short and not traced, or is not there exactly once
 */
export function trampolineSites(
  pre: ObjectFile,
  names: readonly string[],
  decoder: Decoder,
): readonly TrampolineSite[] {
  const places = rewrittenPlaces(pre);
  const ftraceEntries = places.filter(({ kind }) => kind === 'fentry');
  return names.map((name) => {
    const found = pre.symbols.filter((symbol) => symbol.type === STT_FUNC && symbol.name === name);
    const [symbol] = found;
    const section = typeof symbol?.place === 'number' ? pre.sections[symbol.place] : undefined;
    if (symbol === undefined || section === undefined || found.length !== 1) {
      throw new RefusedError(
        'refused',
        `${pre.path}: ${found.length} functions ${name} in the unit, expected one`,
        { details: { unit: pre.path, function: name } },
      );
    }
    const start = Number(symbol.value);
    const entry = ftraceEntries.find((place) => place.section === section.index && place.offset === start);
    const offset = entry?.length ?? 0;
    const code = section.data.subarray(start, start + symbol.size);
    const size = decoder.boundaryAtOrAfter(code, offset, JUMP_SIZE);
    if (size === undefined && entry !== undefined) {
      return { offset, size: JUMP_SIZE, needsLivepatch: 'no-room' };
    }
    if (size === undefined) {
      throw new RefusedError(
        'refused',
        `${pre.path}: ${name}: ${symbol.size} bytes, no room for a jump of ${JUMP_SIZE}, and no ftrace entry`,
        {
          hint: 'leave this function as it is, and have its callers call another one',
          details: { unit: pre.path, function: name },
        },
      );
    }
    const [from, to] = [start + offset, start + offset + size];
    const mutable = places.find(
      (place) =>
        (place.kind === 'jump-label' || place.kind === 'static-call') &&
        place.section === section.index &&
        place.offset < to &&
        place.offset + place.length > from,
    );
    const needsLivepatch =
      mutable?.kind === 'jump-label' || mutable?.kind === 'static-call' ? mutable.kind : null;
    return { offset, size, needsLivepatch };
  });
}
