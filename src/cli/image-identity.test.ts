import { describe, expect, it } from 'vitest';
import { parseImageIdentity } from './image-identity.ts';

/** The beginning of a bzImage: the header's mark, and the version text behind its pointer. */
function image(text: string, pointer = 0x3000): Uint8Array {
  const bytes = Buffer.alloc(0x4000);
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(pointer, 0x20e);
  bytes.write(text, 0x200 + pointer, 'latin1');
  return bytes;
}

describe('parseImageIdentity', () => {
  it('reads release and build', () => {
    const text =
      '6.1.0-47-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)';
    expect(parseImageIdentity(image(text))).toEqual({
      release: '6.1.0-47-cloud-amd64',
      banner: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)',
    });
  });

  it('knows what is no image', () => {
    expect(parseImageIdentity(new Uint8Array(0))).toBeUndefined();
    expect(parseImageIdentity(new Uint8Array(0x4000))).toBeUndefined();
    expect(parseImageIdentity(image('no version text'))).toBeUndefined();
    expect(parseImageIdentity(image('6.1 (a@b) #1').subarray(0, 0x300))).toBeUndefined();
  });
});
