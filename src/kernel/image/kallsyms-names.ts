/**
 * The compressed names of the kernel's symbols, found by walking them.
 *
 * Before the token table lie, each aligned to 8 bytes:
 *
 *     kallsyms_num_syms        u32
 *     kallsyms_names           for each symbol a length, then so many tokens; the first character that they
 *                              expand to is nm's type letter, the others are the name
 *     kallsyms_markers         u32 for every 256th symbol: its offset in the names
 *     kallsyms_seqs_of_names   3 bytes a symbol, the symbols in the order of their names; since 6.2 (60443c88f3a8,
 *                              "kallsyms: Improve the performance of kallsyms_lookup_name()"), also in stable 6.1,
 *                              and behind the addresses instead since 404bad70fcf7 (in 6.4)
 *
 * A length is one byte up to 127, else two: the low seven bits with 0x80, then the others (73bbb94466fd, "kallsyms:
 * support "big" kernel symbols", in 6.1).
 *
 * None of these sizes is known before `num_syms` is, so every aligned word that could be it is tried, from the token
 * table backwards, and what follows it is walked as names. A word that is something else fails at its first
 * or second name. The right one gives names that all expand to a letter and a name, markers that are the offsets walked,
 * and an end where the token table begins. How many steps all tries together may take is bounded, so that a
 * file made to be slow is an error soon.
 */
import type { TokenTable } from './kallsyms-tokens.ts';

/** Names that have been found and checked, still compressed. */
export interface CompressedNames {
  readonly count: number;
  /** Offset of `kallsyms_num_syms` in the section. */
  readonly start: number;
  /** Offset of each symbol's first token in the section. */
  readonly offsets: Uint32Array;
  /** How many tokens each has. */
  readonly lengths: Uint16Array;
  /** How many characters all of them have, type letters included. */
  readonly expandedSize: number;
}

export interface ExpandedNames {
  readonly names: readonly string[];
  /** nm's letters, one character a symbol. */
  readonly types: string;
}

const ALIGNMENT = 8;
const MARKED = 256;
/** `char name[]` of scripts/kallsyms.c, the most that any version of it reads. */
const LONGEST_NAME = 2048;
/** About ten times what a kernel with everything built in has. */
const MOST_CHARACTERS = 1 << 26;
/** Steps for each byte of the section; a sound kernel takes less than one. */
const STEPS_A_BYTE = 8;

function align(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

/** Every place before the token table that is a list of names. There is one in a sound kernel, or none. */
export function* findNames(section: Uint8Array, tokens: TokenTable): Generator<CompressedNames> {
  const walker = new NameWalker(section, tokens);
  for (let start = tokens.start - 2 * ALIGNMENT; start >= 0; start -= ALIGNMENT) {
    const found = walker.tryAt(start);
    if (found !== undefined) yield found;
    if (walker.isExhausted) return;
  }
}

class NameWalker {
  readonly #section: Uint8Array;
  readonly #view: DataView;
  readonly #tokens: TokenTable;
  /** Of each token: 1 where it begins with a letter or `?`, as nm's types do. */
  readonly #startsType: Uint8Array;
  /** Of each token: length, or 0 where it can be in no name. */
  readonly #sizes: Uint16Array;
  #stepsLeft: number;

  constructor(section: Uint8Array, tokens: TokenTable) {
    this.#section = section;
    this.#view = new DataView(section.buffer, section.byteOffset, section.byteLength);
    this.#tokens = tokens;
    this.#stepsLeft = STEPS_A_BYTE * section.length;
    this.#startsType = new Uint8Array(tokens.offsets.length);
    this.#sizes = new Uint16Array(tokens.offsets.length);
    tokens.offsets.forEach((offset, token) => {
      const size = tokens.lengths[token] ?? 0;
      const characters = tokens.text.subarray(offset, offset + size);
      if (characters.some((byte) => byte <= 0x20 || byte === 0x7f)) return;
      this.#sizes[token] = size;
      const first = characters[0] ?? 0;
      const isLetter = (first | 0x20) >= 0x61 && (first | 0x20) <= 0x7a;
      this.#startsType[token] = isLetter || first === 0x3f ? 1 : 0;
    });
  }

  get isExhausted(): boolean {
    return this.#stepsLeft <= 0;
  }

  /** The names behind `kallsyms_num_syms` at `start`, if that is what is there. */
  tryAt(start: number): CompressedNames | undefined {
    const count = this.#view.getUint32(start, true);
    if (count === 0 || this.#view.getUint32(start + 4, true) !== 0) return undefined;
    const first = start + ALIGNMENT;
    // The shortest name is its length and one token.
    if (2 * count + 4 * Math.ceil(count / MARKED) > this.#tokens.start - first) return undefined;
    const walked = this.#walk(first, count);
    if (walked === undefined) return undefined;
    const markers = align(walked.end);
    const markersEnd = align(markers + 4 * Math.ceil(count / MARKED));
    const ends = [markersEnd, align(markersEnd + 3 * count)];
    if (!ends.includes(this.#tokens.start)) return undefined;
    for (let i = 0; i < count; i += MARKED) {
      const marked = first + this.#view.getUint32(markers + (i / MARKED) * 4, true);
      if (marked !== walked.starts[i / MARKED]) return undefined;
    }
    const { offsets, lengths, expandedSize } = walked;
    return { count, start, offsets, lengths, expandedSize };
  }

  #walk(
    first: number,
    count: number,
  ): (Omit<CompressedNames, 'count' | 'start'> & { end: number; starts: readonly number[] }) | undefined {
    const section = this.#section;
    const limit = this.#tokens.start;
    let offsets = new Uint32Array(Math.min(count, 64));
    let lengths = new Uint16Array(offsets.length);
    const starts: number[] = [];
    let expandedSize = 0;
    let at = first;
    for (let i = 0; i < count; i++) {
      if (i % MARKED === 0) starts.push(at);
      let length = section[at++] ?? 0;
      if (length > 0x7f) length = (length & 0x7f) | ((section[at++] ?? 0) << 7);
      const size = length > 0 && at + length <= limit ? this.#sizeOf(at, length) : 0;
      expandedSize += size;
      if (size === 0 || expandedSize > MOST_CHARACTERS) return undefined;
      if (i === offsets.length) {
        // Most tries end before: no table of `count` entries is made for them.
        offsets = grown(offsets, new Uint32Array(Math.min(count, 8 * i)));
        lengths = grown(lengths, new Uint16Array(offsets.length));
      }
      offsets[i] = at;
      lengths[i] = length;
      at += length;
    }
    return { offsets, lengths, expandedSize, end: at, starts };
  }

  /** How many characters the tokens at `at` expand to; 0 if they are no type and name. */
  #sizeOf(at: number, length: number): number {
    this.#stepsLeft -= 1;
    if (this.#startsType[this.#section[at] ?? 0] !== 1) return 0;
    this.#stepsLeft -= length;
    if (this.#stepsLeft < 0) return 0;
    let size = 0;
    for (let i = at; i < at + length; i++) {
      const token = this.#sizes[this.#section[i] ?? 0] ?? 0;
      if (token === 0) return 0;
      size += token;
    }
    return size > 1 && size <= LONGEST_NAME ? size : 0;
  }
}

function grown<T extends Uint32Array | Uint16Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** The names as text. They are what findNames() has checked. */
export function expandNames(section: Uint8Array, tokens: TokenTable, found: CompressedNames): ExpandedNames {
  const { text, offsets, lengths } = tokens;
  // All characters go to one buffer first: a string from a piece of it is much cheaper than one joined from tokens.
  const characters = Buffer.allocUnsafe(found.expandedSize);
  const types = Buffer.allocUnsafe(found.count);
  const names: string[] = [];
  let to = 0;
  for (let i = 0; i < found.count; i++) {
    const start = to;
    const first = found.offsets[i] ?? 0;
    const end = first + (found.lengths[i] ?? 0);
    for (let at = first; at < end; at++) {
      const token = section[at] ?? 0;
      const from = offsets[token] ?? 0;
      const size = lengths[token] ?? 0;
      for (let k = 0; k < size; k++) characters[to + k] = text[from + k] ?? 0;
      to += size;
    }
    types[i] = characters[start] ?? 0;
    names.push(characters.toString('latin1', start + 1, to));
  }
  return { names, types: types.toString('latin1') };
}
