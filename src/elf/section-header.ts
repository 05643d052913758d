import { hex } from '../diagnostics/hex.ts';
import { SHT_NOBITS, SHT_NULL } from './constants.ts';
import type { Cursor } from './cursor.ts';

/** A section header as it is in the file, and where. */
export interface SectionHeader {
  /** Offset of the header in the file, for messages. */
  readonly at: number;
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
}

/** Reads the header at `at`. */
export function readHeader(cursor: Cursor, at: number): SectionHeader {
  cursor.seek(at);
  const nameOffset = cursor.u32('sh_name');
  const type = cursor.u32('sh_type');
  const flags = cursor.size('sh_flags');
  cursor.skip(8);
  const offset = cursor.size('sh_offset');
  const size = cursor.size('sh_size');
  const link = cursor.u32('sh_link');
  const info = cursor.u32('sh_info');
  const alignment = cursor.size('sh_addralign');
  const entrySize = cursor.size('sh_entsize');
  return { at, nameOffset, type, flags, offset, size, link, info, alignment, entrySize };
}

/** Contents of a section: a view, empty for SHT_NOBITS and SHT_NULL. */
export function contentsOf(cursor: Cursor, header: SectionHeader, index: number): Uint8Array {
  if (header.type === SHT_NULL || header.type === SHT_NOBITS) return cursor.bytes.subarray(0, 0);
  cursor.seek(header.at);
  return cursor.view(header.offset, header.size, `section ${index}`);
}

/** How many entries of `size` bytes the table has; its bytes have been checked to be in the file. */
export function entryCount(cursor: Cursor, header: SectionHeader, size: number, what: string): number {
  if (header.entrySize !== size) {
    cursor.fail(`${what} has entries of ${header.entrySize} bytes, expected ${size}`, header.at);
  }
  if (header.size % size !== 0) {
    cursor.fail(`${what} has ${hex(header.size)} bytes, expected a multiple of ${size}`, header.at);
  }
  return header.size / size;
}
