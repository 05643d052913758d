import { hex } from '../diagnostics/hex.ts';
import type { Cursor } from './cursor.ts';

/**
 * A bound against crafted files: thousands of names that all start in one long run of bytes without
 * a NUL would otherwise need memory quadratic in the file's size. No compiler comes near it.
 */
const LONGEST_NAME = 4096;

/**
 * Reads names from a SHT_STRTAB section; `start` is its offset in the file, `size` its size in bytes.
 * `what` names the holder of a name for the message: `symbol 5`.
 */
export type StringReader = (offset: number, at: number, what: () => string) => string;

/** A reader of the NUL-terminated UTF-8 names in one string table. */
export function stringReader(cursor: Cursor, start: number, size: number): StringReader {
  const { bytes } = cursor;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = start + size;
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const known = new Map<number, string>();

  return (offset, at, what) => {
    // No name, by the gABI, even where the table is empty.
    if (offset === 0) return '';
    const cached = known.get(offset);
    if (cached !== undefined) return cached;
    if (offset >= size) {
      cursor.fail(`the name of ${what()} is at ${hex(offset)} of a string table of ${hex(size)} bytes`, at);
    }
    const first = start + offset;
    const limit = Math.min(end, first + LONGEST_NAME + 1);
    let position = first;
    let seen = 0;
    for (; position < limit; position++) {
      const byte = bytes[position] ?? 0;
      if (byte === 0) break;
      seen |= byte;
    }
    if (position === end) cursor.fail(`the name of ${what()} has no end in its string table`, first);
    if (position === limit) {
      cursor.fail(`the name of ${what()} has more than ${LONGEST_NAME} bytes`, first);
    }
    const raw = bytes.subarray(first, position);
    let name: string;
    if (seen < 0x80) {
      name = buffer.toString('latin1', first, position);
    } else {
      try {
        name = decoder.decode(raw);
      } catch {
        cursor.fail(`the name of ${what()} is not UTF-8`, first);
      }
    }
    known.set(offset, name);
    return name;
  };
}
