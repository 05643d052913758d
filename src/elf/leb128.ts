/** Numbers of variable length, as DWARF has them (DWARF 5, section 7.6): seven bits a byte, the lowest first. */
import type { Cursor } from './cursor.ts';

/** Seven bits each: as many as 64 bits can need, and one more for a producer that pads. */
const LONGEST = 11;

/** Throws FormatError from 2^53 on. */
export function uleb(cursor: Cursor, what: string): number {
  return readBytes(cursor, what).value;
}

/** Throws FormatError where its magnitude is 2^53 or more. */
export function sleb(cursor: Cursor, what: string): number {
  const { value, factor, last } = readBytes(cursor, what);
  return (last & 0x40) === 0 ? value : value - factor * 128;
}

/** The same for a value that may be any of 64 bits: a bigint where a number would round it. */
export function slebExact(cursor: Cursor, what: string): number | bigint {
  return exact(cursor, what, true);
}

/** See slebExact. */
export function ulebExact(cursor: Cursor, what: string): number | bigint {
  return exact(cursor, what, false);
}

/** The number if it is exactly that. */
export function toExact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function exact(cursor: Cursor, what: string, isSigned: boolean): number | bigint {
  const start = cursor.position;
  let value = 0n;
  for (let count = 1; count <= LONGEST; count += 1) {
    const last = cursor.u8(what);
    value += BigInt(last & 0x7f) << BigInt(7 * (count - 1));
    if ((last & 0x80) !== 0) continue;
    const isNegative = isSigned && (last & 0x40) !== 0;
    return toExact(isNegative ? value - (1n << BigInt(7 * count)) : value);
  }
  return cursor.fail(`${what} has more than ${LONGEST} bytes`, start);
}

function readBytes(
  cursor: Cursor,
  what: string,
): { readonly value: number; readonly factor: number; readonly last: number } {
  const start = cursor.position;
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    if (cursor.position - start === LONGEST) cursor.fail(`${what} has more than ${LONGEST} bytes`, start);
    const last = cursor.u8(what);
    value += (last & 0x7f) * factor;
    if (!Number.isSafeInteger(value)) cursor.fail(`${what} is larger than 2^53`);
    if ((last & 0x80) === 0) return { value, factor, last };
  }
}
