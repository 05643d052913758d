import { describe, expect, it } from 'vitest';
import { encodeFrame, encodeNumbers, FRAME, FrameDecoder } from './frame.ts';

const frames = [
  encodeFrame(FRAME.hello, 0),
  encodeFrame(FRAME.stdout, 7, Buffer.from('some output')),
  encodeFrame(FRAME.credit, 0, encodeNumbers(2 ** 32 + 5)),
];
const expected = [
  { type: FRAME.hello, command: 0, payload: Buffer.alloc(0) },
  { type: FRAME.stdout, command: 7, payload: Buffer.from('some output') },
  { type: FRAME.credit, command: 0, payload: Buffer.from([5, 0, 0, 0]) },
];

describe('FrameDecoder', () => {
  it.each([1, 3, 19, 20, 21, 1000])('finds the frames in pieces of %i bytes', (size) => {
    const bytes = Buffer.concat(frames);
    const decoder = new FrameDecoder();
    const found = [];
    for (let at = 0; at < bytes.length; at += size) {
      found.push(...decoder.push(bytes.subarray(at, at + size)));
    }
    expect(found).toEqual(expected);
  });

  it('notices every byte that changed', () => {
    const frame = encodeFrame(FRAME.stdout, 1, Buffer.from('x'));
    for (let at = 0; at < frame.length; at += 1) {
      const changed = Buffer.from(frame);
      changed[at] = (changed[at] ?? 0) ^ 0x40;
      const outcome = (): unknown => {
        const decoder = new FrameDecoder();
        // More bytes follow, as they would: a length that grew must not swallow them in silence.
        return [...decoder.push(changed), ...decoder.push(Buffer.alloc(8 << 20, 'y'))];
      };
      expect(outcome, `byte ${at}`).toThrow(/data line/);
    }
  });
});
