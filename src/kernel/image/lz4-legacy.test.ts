import { describe, expect, it } from 'vitest';
import { decompressLz4 } from './lz4-legacy.ts';

/** A frame with these blocks. */
function frame(...blocks: readonly (readonly number[])[]): Uint8Array {
  const parts = blocks.map((block) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(block.length);
    return Buffer.concat([length, Buffer.from(block)]);
  });
  return Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), ...parts]);
}
const text = (string: string): readonly number[] => [...Buffer.from(string)];
const decoded = (size: number, ...blocks: readonly (readonly number[])[]): string =>
  Buffer.from(decompressLz4(frame(...blocks), size, 'x')).toString();

describe('decompressLz4', () => {
  it.each([
    ['literals only', [0x30, ...text('abc')], 'abc'],
    ['a match', [0x30, ...text('abc'), 3, 0, 0x00], 'abcabca'],
    ['a match into itself', [0x22, ...text('ab'), 2, 0, 0x10, ...text('c')], 'ababababc'],
    ['a long literal', [0xf0, 2, ...text('0123456789abcdefg')], '0123456789abcdefg'],
    ['a long match', [0x1f, ...text('z'), 1, 0, 255, 10, 0x00], 'z'.repeat(1 + 15 + 255 + 10 + 4)],
  ] as const)('%s', (_, block, expected) => {
    // A match needs a last sequence behind it: an empty one is enough.
    expect(decoded(expected.length, block)).toBe(expected);
  });

  it('several blocks, and several frames', () => {
    const two = Buffer.concat([frame([0x10, 0x61], [0x10, 0x62]), frame([0x10, 0x63])]);
    expect(Buffer.from(decompressLz4(two, 3, 'x')).toString()).toBe('abc');
  });

  it.each([
    ['no frame', Buffer.from('abcdefgh'), 8, /expected an LZ4 frame/],
    ['a block without a length', Buffer.from([2, 0x21, 0x4c, 0x18, 1, 0]), 8, /no length/],
    ['a block behind the end', Buffer.from([2, 0x21, 0x4c, 0x18, 9, 0, 0, 0, 0]), 8, /ends at 0x11/],
    ['literals behind the end', frame([0x50, 1, 2]), 5, /literals end after/],
    ['a length without an end', frame([0xf0, 255, 255]), 99, /no end/],
    ['a match before the start', frame([0x10, 0x61, 2, 0, 0]), 5, /goes 2 bytes back/],
    ['a match of nothing', frame([0x10, 0x61, 0, 0, 0]), 5, /goes 0 bytes back/],
    ['a match into the block before', frame([0x10, 0x61], [0x10, 0x61, 2, 0, 0]), 6, /goes 2 bytes back/],
    ['half a distance', frame([0x10, 0x61, 1]), 5, /no distance/],
    ['a match at the end', frame([0x10, 0x61, 1, 0]), 5, /ends with a match/],
    ['more than was said', frame([0x30, ...text('abc')]), 2, /more than it may/],
    ['less than was said', frame([0x30, ...text('abc')]), 4, /gave 0x3 bytes, expected 0x4/],
    ['a size that cannot be', frame([0x10, 0x61]), 1 << 29, /cannot hold 0x20000000/],
  ] as const)('%s: malformed_image', (_, bytes, size, message) => {
    expect(() => decompressLz4(bytes, size, 'x')).toThrow(message);
    expect(() => decompressLz4(bytes, size, 'x')).toThrow(
      expect.objectContaining({ code: 'malformed_image' }),
    );
  });
});
