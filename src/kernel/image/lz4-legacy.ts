/**
 * LZ4 in its legacy frame, which is what `lz4 -l` writes and what a kernel build compresses the image with.
 *
 * The format is small enough that a decoder is shorter than the code around a subprocess, and Debian's cloud
 * kernels, the ones most often opened, then need no tool at all.
 *
 * A frame is its magic and blocks: a 32-bit length, then that many bytes, which give at most 8 MiB. Blocks do not
 * refer to each other. There is no end mark: the end of the data is the end of the frame, unless the next 32
 * bits are the magic again (two files written one after the other).
 *
 * A block is a list of sequences. A token gives two 4-bit lengths, of literals and of a match; 15 means that bytes
 * follow which are added, as long as they are 255. Then the literals; then a 16-bit distance back to what the
 * match copies, 4 bytes more than its length says. The last sequence ends after its literals.
 *
 * Format: lz4_Block_format.md and lz4_Frame_format.md of the LZ4 project.
 */
import { hex } from '../../diagnostics/hex.ts';
import { malformedImage } from './image-cursor.ts';

export const LZ4_LEGACY_MAGIC = 0x184c2102;
const LARGEST_BLOCK = 8 << 20;
const SHORTEST_MATCH = 4;

/**
 * The contents of a frame. `size` is what they must have, in bytes: a frame does not say it. Throws FormatError
 * `malformed_image` with the offset in `bytes`; `path` is the name for messages.
 */
export function decompressLz4(bytes: Uint8Array, size: number, path: string): Uint8Array {
  // No byte of input stands for more than 255 of output: nothing is allocated for a size that cannot be.
  if (size > bytes.length * 255) {
    throw malformedImage(path, 0, `${hex(bytes.length)} bytes of LZ4 cannot hold ${hex(size)}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const output = Buffer.alloc(size);
  let from = 0;
  let to = 0;
  while (from < bytes.length) {
    if (from + 4 > bytes.length) throw malformedImage(path, from, 'an LZ4 block has no length');
    const length = view.getUint32(from, true);
    if (length === LZ4_LEGACY_MAGIC) {
      from += 4;
      continue;
    }
    if (from === 0) throw malformedImage(path, 0, `found ${hex(length)}, expected an LZ4 frame`);
    const end = from + 4 + length;
    if (end > bytes.length) {
      throw malformedImage(
        path,
        from,
        `an LZ4 block ends at ${hex(end)}, the data have ${hex(bytes.length)} bytes`,
      );
    }
    to = decompressBlock(bytes, from + 4, end, output, to, path);
    from = end;
  }
  if (to !== size) throw malformedImage(path, from, `LZ4 gave ${hex(to)} bytes, expected ${hex(size)}`);
  return output;
}

/** Appends a block's contents at `start` of the output, and returns where they end. */
function decompressBlock(
  input: Uint8Array,
  first: number,
  end: number,
  output: Buffer,
  start: number,
  path: string,
): number {
  const limit = Math.min(output.length, start + LARGEST_BLOCK);
  let from = first;
  let to = start;
  const fail = (message: string): never => {
    throw malformedImage(path, from, message);
  };
  /** What an extended length adds. A run of 255s is as long as the input at most. */
  const extension = (): number => {
    let sum = 0;
    for (;;) {
      if (from >= end) fail('an LZ4 length has no end');
      const byte = input[from++] ?? 0;
      sum += byte;
      if (byte !== 255) return sum;
    }
  };
  while (from < end) {
    const token = input[from++] ?? 0;
    let literals = token >> 4;
    if (literals === 15) literals += extension();
    if (from + literals > end) fail(`${literals} LZ4 literals end after their block`);
    if (to + literals > limit) fail('an LZ4 block gives more than it may');
    if (literals < 32) for (let i = 0; i < literals; i++) output[to + i] = input[from + i] ?? 0;
    else output.set(input.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    if (from === end) return to;

    if (from + 2 > end) fail('an LZ4 match has no distance');
    const distance = (input[from] ?? 0) | ((input[from + 1] ?? 0) << 8);
    from += 2;
    if (distance === 0 || distance > to - start) fail(`an LZ4 match goes ${distance} bytes back`);
    let length = token & 15;
    if (length === 15) length += extension();
    length += SHORTEST_MATCH;
    if (to + length > limit) fail('an LZ4 block gives more than it may');
    // A match may reach into what it writes: "ab" two bytes back, for six bytes, is "ababab".
    if (distance >= length && length >= 32) output.copyWithin(to, to - distance, to - distance + length);
    else for (let i = 0; i < length; i++) output[to + i] = output[to + i - distance] ?? 0;
    to += length;
  }
  return fail('an LZ4 block ends with a match');
}
