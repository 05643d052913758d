/**
 * What a kernel image says of itself, without unpacking it.
 *
 * The setup header of a bzImage (Documentation/x86/boot.rst) has `HdrS` at 0x202, the protocol's version at 0x206
 * and, from 2.00 on, at 0x20e the distance from 0x200 to a text that ends with a NUL: the release, who built it in
 * parentheses, and what `uname -v` prints.
 */
import { open } from 'node:fs/promises';
import { UsageError } from '../diagnostics/error.ts';

export interface ImageIdentity {
  /** `uname -r`. */
  readonly release: string;
  /** `uname -v`: `#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)`. */
  readonly banner: string;
}

const MAGIC_OFFSET = 0x202;
const TEXT_POINTER = 0x20e;
const SECTOR = 0x200;
/** The setup code is at most 64 sectors, and the text lies in it. */
const SETUP_BYTES = 65 * SECTOR;

/** Reads them from a vmlinuz file. Throws UsageError if it is none. */
export async function readImageIdentity(file: string): Promise<ImageIdentity> {
  const bytes = await readBeginning(file);
  const identity = parseImageIdentity(bytes);
  if (identity === undefined) {
    throw new UsageError('usage', `${file}: not the image of an x86 kernel (vmlinuz)`, {
      hint: 'Debian has them as /boot/vmlinuz-RELEASE',
    });
  }
  return identity;
}

/** The same from the first bytes of the file; undefined if they are not those of an image. */
export function parseImageIdentity(bytes: Uint8Array): ImageIdentity | undefined {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (
    header.length < TEXT_POINTER + 2 ||
    header.toString('latin1', MAGIC_OFFSET, MAGIC_OFFSET + 4) !== 'HdrS'
  ) {
    return undefined;
  }
  const start = header.readUInt16LE(TEXT_POINTER) + SECTOR;
  const end = header.indexOf(0, start);
  const text = end < 0 ? '' : header.toString('latin1', start, end);
  const found = /^(\S+) \(.*?\) (#.*)$/.exec(text);
  return found?.[1] === undefined || found[2] === undefined
    ? undefined
    : { release: found[1], banner: found[2] };
}

async function readBeginning(file: string): Promise<Uint8Array> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(SETUP_BYTES), 0, SETUP_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('usage', `cannot read the image ${file}: ${reason}`, { cause });
  }
}
