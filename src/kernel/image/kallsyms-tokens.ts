/**
 * The token table of the kernel's symbol names: where the search for kallsyms begins.
 *
 * A distributed kernel has no ELF symbol table, so nothing says where its kallsyms tables are; they are found
 * by what they must look like. Names are compressed by replacing frequent pairs with unused byte values, again
 * and again (scripts/kallsyms.c). `kallsyms_token_table` has for each of the 256 byte values the text that it
 * stands for, with a NUL; `kallsyms_token_index` has the offset of each text as 16 bits.
 *
 * A character that occurs in any name stands for itself. Every kernel has names with all ten digits, so the table
 * holds "0\0" to "9\0" one after the other, at the values 0x30 to 0x39. From there it is walked forwards to its
 * end, since that needs no start; the index must begin at the next multiple of 8, and its entry for "0" tells how far
 * back the start is. That all 256 offsets then agree with the texts cannot be chance.
 */

/** The table's contents, and where it lies. */
export interface TokenTable {
  /** Offset of the first token in the section. */
  readonly start: number;
  /** Offset behind the index. */
  readonly end: number;
  /** All tokens with their NULs. */
  readonly text: Uint8Array;
  /** Offset of each token in `text`. */
  readonly offsets: Uint16Array;
  /** Length of each token without its NUL. */
  readonly lengths: Uint16Array;
}

const TOKENS = 256;
const DIGITS = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00', 'latin1');
const FIRST_DIGIT = 0x30;
const ALIGNMENT = 8;

/** Every place in a section that is a token table with its index. There is one in a sound kernel, or none. */
export function* findTokenTables(section: Uint8Array): Generator<TokenTable> {
  const buffer = Buffer.from(section.buffer, section.byteOffset, section.byteLength);
  for (let at = buffer.indexOf(DIGITS); at >= 0; at = buffer.indexOf(DIGITS, at + 1)) {
    const table = readAround(buffer, at);
    if (table !== undefined) yield table;
  }
}

/** The table whose token for the digit 0 is at `zero`; undefined if that is in no table. */
function readAround(buffer: Buffer, zero: number): TokenTable | undefined {
  let textEnd = zero;
  for (let token = FIRST_DIGIT; token < TOKENS; token++) {
    const nul = buffer.indexOf(0, textEnd);
    if (nul < 0) return undefined;
    textEnd = nul + 1;
  }
  const index = Math.ceil(textEnd / ALIGNMENT) * ALIGNMENT;
  const end = index + 2 * TOKENS;
  if (end > buffer.length) return undefined;
  const offsets = Uint16Array.from({ length: TOKENS }, (_, token) => buffer.readUInt16LE(index + 2 * token));
  const start = zero - (offsets[FIRST_DIGIT] ?? 0);
  if (start < 0 || start % ALIGNMENT !== 0) return undefined;
  const lengths = new Uint16Array(TOKENS);
  let expected = 0;
  for (let token = 0; token < TOKENS; token++) {
    if (offsets[token] !== expected) return undefined;
    const nul = buffer.indexOf(0, start + expected);
    if (nul < 0 || nul >= textEnd) return undefined;
    lengths[token] = nul - start - expected;
    expected = nul + 1 - start;
  }
  return { start, end, text: buffer.subarray(start, textEnd), offsets, lengths };
}
