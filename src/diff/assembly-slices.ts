/**
 * The functions of assembly, as slices of their section.
 *
 * The assembler knows no functions: all code of a file is one section, and what SYM_FUNC_END or the like
 * says about a symbol is a type and a size. Other code lies between functions: SYM_CODE_START, or nothing but a
 * label, often without a symbol (`.Lcopy_user_handle_tail`). None of it can be found in a running kernel by name or be
 * given a jump, so it is taken as the end of the function that it lies behind, and moves with that.
 */
import { STB_LOCAL, STT_FUNC } from '../elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section } from '../elf/model.ts';
import { decodeText } from '../x86/decode-text.ts';
import { fillingLength } from '../x86/nops.ts';

/** Bytes [start, end) of a section: a function, and the code without a function around it. */
export interface CodeSlice {
  readonly section: Section;
  /** All names of the function: symbols of type FUNC at `entry`; a global one first. */
  readonly symbols: readonly [ElfSymbol, ...ElfSymbol[]];
  /** Before `entry` in the first slice only, where code lies before the first function. */
  readonly start: number;
  readonly entry: number;
  /** What the assembler filled in behind it is not part of it. */
  readonly end: number;
}

function rank({ binding }: ElfSymbol): number {
  return binding === STB_LOCAL ? 1 : 0;
}

/** Functions of a section by where they begin, all names of one together. */
function functionsByEntry(
  object: ObjectFile,
  section: Section,
): readonly (readonly [ElfSymbol, ...ElfSymbol[]])[] {
  const found = new Map<number, [ElfSymbol, ...ElfSymbol[]]>();
  const functions = object.symbols.filter((each) => each.place === section.index && each.type === STT_FUNC);
  for (const symbol of functions.toSorted((a, b) => rank(a) - rank(b) || a.index - b.index)) {
    const known = found.get(Number(symbol.value));
    if (known === undefined) found.set(Number(symbol.value), [symbol]);
    else known.push(symbol);
  }
  return [...found].sort(([a], [b]) => a - b).map(([, symbols]) => symbols);
}

/** Where the code of [from, to) ends: behind its last instruction that is no filling; `from` if all is filling. */
function endOfCode(section: Section, from: number, to: number): number {
  const bytes = section.data.subarray(from, to);
  const last = decodeText(bytes).findLast(({ offset }) => fillingLength(bytes, offset) === 0);
  return last === undefined ? from : from + last.offset + last.length;
}

/** Slices of a section with code, by offset; none if there is no symbol of type FUNC in it. */
export function codeSlices(object: ObjectFile, section: Section): readonly CodeSlice[] {
  const functions = functionsByEntry(object, section);
  return functions.map((symbols, index): CodeSlice => {
    const entry = Number(symbols[0].value);
    const next = functions[index + 1];
    const limit = next === undefined ? section.size : Number(next[0].value);
    const sized = Math.min(Math.max(...symbols.map((each) => entry + each.size)), limit);
    const hasCodeBefore = index === 0 && endOfCode(section, 0, entry) > 0;
    return {
      section,
      symbols,
      start: hasCodeBefore ? 0 : entry,
      entry,
      end: endOfCode(section, sized, limit),
    };
  });
}

/** The slice that a place is part of; one that lies between two belongs to the first. */
export function sliceAt(slices: readonly CodeSlice[], offset: number): CodeSlice | undefined {
  return slices.findLast(({ start }) => start <= offset) ?? slices[0];
}
