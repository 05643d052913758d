/** Numbers of variable length, as DWARF has them (DWARF 5, section 7.6): seven bits a byte, the lowest first. */
import type { Cursor } from './cursor.ts';

/** Throws FormatError from 2^53 on. */
export function uleb(cursor: Cursor, what: string): number {
  return readBytes(cursor, what).value;
}

/** Throws FormatError where its magnitude is 2^53 or more. */
export function sleb(cursor: Cursor, what: string): number {
  const { value, factor, last } = readBytes(cursor, what);
  return (last & 0x40) === 0 ? value : value - factor * 128;
}

function readBytes(
  cursor: Cursor,
  what: string,
): { readonly value: number; readonly factor: number; readonly last: number } {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const last = cursor.u8(what);
    value += (last & 0x7f) * factor;
    if (!Number.isSafeInteger(value)) cursor.fail(`${what} is larger than 2^53`);
    if ((last & 0x80) === 0) return { value, factor, last };
  }
}
