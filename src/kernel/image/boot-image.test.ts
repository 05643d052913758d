import { describe, expect, it } from 'vitest';
import { buildBootImage } from '../../../test/fuzz/kernel-image.ts';
import { isBootImage, payloadOf } from './boot-image.ts';

const payload = Buffer.from('the compressed kernel');

describe('payloadOf', () => {
  it.each([1, 3, 31, 0])('finds the payload behind %i setup sectors', (sectors) => {
    const image = buildBootImage(payload, undefined, sectors);
    expect(isBootImage(image)).toBe(true);
    expect(Buffer.from(payloadOf(image, 'vmlinuz')).toString()).toBe('the compressed kernel');
  });

  it.each([
    ['protocol 2.07', (image: Buffer) => image.writeUInt16LE(0x207, 0x206), /boot protocol 0x207/],
    ['no boot flag', (image: Buffer) => image.writeUInt16LE(0, 0x1fe), /boot flag is 0x0/],
    ['no payload', (image: Buffer) => image.writeUInt32LE(0, 0x24c), /payload_length is 0/],
    [
      'a payload that starts behind the end',
      (image: Buffer) => image.writeUInt32LE(0xffffffff, 0x248),
      /payload ends at/,
    ],
    [
      'a payload that ends behind the end',
      (image: Buffer) => image.writeUInt32LE(0x1000, 0x24c),
      /payload ends at/,
    ],
    ['another header', (image: Buffer) => image.write('HdrX', 0x202), /expected HdrS/],
  ] as const)('%s: malformed_image', (_, edit, message) => {
    const image = Buffer.from(buildBootImage(payload, undefined));
    edit(image);
    expect(() => payloadOf(image, 'vmlinuz')).toThrow(message);
    expect(() => payloadOf(image, 'vmlinuz')).toThrow(expect.objectContaining({ code: 'malformed_image' }));
  });

  it('a header that is cut off', () => {
    expect(() => payloadOf(buildBootImage(payload, undefined).subarray(0, 0x240), 'vmlinuz')).toThrow(
      /setup header ends/,
    );
    expect(isBootImage(payload)).toBe(false);
  });
});
