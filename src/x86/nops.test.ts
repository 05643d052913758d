import { describe, expect, it } from 'vitest';
import { hexTable, hexToBytes } from '../../test/support/hex-table.ts';
import { isNopSequence, nopLength } from './nops.ts';

const lengths = hexTable(`
# what the kernel writes
90, 1
66 90, 2
0f 1f 00, 3
0f 1f 40 00, 4
0f 1f 44 00 00, 5
66 0f 1f 44 00 00, 6
0f 1f 80 00 00 00 00, 7
0f 1f 84 00 00 00 00 00, 8
# what the assembler aligns with
66 0f 1f 84 00 00 00 00 00, 9
66 2e 0f 1f 84 00 00 00 00 00, 10
66 66 2e 0f 1f 84 00 00 00 00 00, 11
66 66 66 66 66 66 2e 0f 1f 84 00 00 00 00 00, 15
# only the first instruction counts
90 90, 1
0f 1f 00 c3, 3
# pause and endbr64 are not padding, nor is int3
f3 90, 0
f3 0f 1e fa, 0
cc, 0
# a displacement that is not zero means something to somebody
0f 1f 40 01, 0
0f 1f 80 00 00 00 01, 0
# cut off
0f 1f 44 00, 0
66, 0
66 66 66 66 66 66 66 2e 0f 1f 84 00 00 00 00 00, 0
`);

describe('nopLength', () => {
  it.each(lengths)('$line', ({ bytes, expected }) => {
    expect(nopLength(bytes, 0)).toBe(Number(expected));
    const moved = Uint8Array.of(0xc3, ...bytes);
    expect(nopLength(moved, 1)).toBe(Number(expected));
  });

  it('is 0 behind the end', () => {
    expect(nopLength(hexToBytes('90'), 1)).toBe(0);
  });
});

const sequences = hexTable(`
, true
90 90 90, true
66 90 0f 1f 44 00 00 90, true
66 66 2e 0f 1f 84 00 00 00 00 00 0f 1f 40 00, true
90 c3, false
90 0f 1f, false
c3 90, false
`);

describe('isNopSequence', () => {
  it.each(sequences)('$line', ({ bytes, expected }) => {
    expect(isNopSequence(bytes)).toBe(expected === 'true');
  });
});
