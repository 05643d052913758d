import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hexTable } from '../../test/support/hex-table.ts';
import { hex, hexBytes } from '../diagnostics/hex.ts';
import { loadDecoder } from './decoder.ts';
import { callRel32, jmpRel32, readRel32Target } from './encode.ts';

const KERNEL = 0xffff_ffff_8100_0000n;

describe('jmpRel32 and callRel32', () => {
  it('write the distance from the end of the instruction', () => {
    expect(hexBytes(jmpRel32(KERNEL, KERNEL + 0x105n))).toBe('e9 00 01 00 00');
    expect(hexBytes(callRel32(KERNEL, KERNEL))).toBe('e8 fb ff ff ff');
  });

  it('reach exactly 31 bits', () => {
    const base = KERNEL + 5n;
    expect(hexBytes(jmpRel32(KERNEL, base + 0x7fff_ffffn))).toBe('e9 ff ff ff 7f');
    expect(hexBytes(jmpRel32(KERNEL, base - 0x8000_0000n))).toBe('e9 00 00 00 80');
    expect(() => jmpRel32(0x1000n, 0x1005n + 0x8000_0000n)).toThrow('does not reach 0x80001005');
    expect(() => jmpRel32(KERNEL, base - 0x8000_0001n)).toThrow('does not reach');
  });

  it('name both addresses when out of reach', () => {
    expect(() => jmpRel32(KERNEL, KERNEL - 0x8000_0000n)).toThrow(
      expect.objectContaining({
        name: 'InternalError',
        message: expect.stringMatching(/jmp at 0xffffffff81000000 does not reach 0xffffffff01000000/),
      }),
    );
    expect(() => callRel32(0x1000n, KERNEL)).toThrow('call at 0x1000 does not reach 0xffffffff81000000');
  });

  it('are read back by readRel32Target and by the decoder', async () => {
    const decoder = await loadDecoder();
    fc.assert(
      fc.property(
        fc.bigInt(0x1_0000_0000n, 0xffff_ffff_0000_0000n),
        fc.bigInt(-0x8000_0000n, 0x7fff_ffffn),
        fc.constantFrom(jmpRel32, callRel32),
        (from, distance, encode) => {
          const to = from + 5n + distance;
          const bytes = encode(from, to);
          expect(readRel32Target(bytes, from)).toBe(to);
          expect(decoder.decodeAll(bytes, from)).toMatchObject([
            { length: 5, flow: encode === jmpRel32 ? 'jump' : 'call', target: to },
          ]);
        },
      ),
    );
  });
});

const targets = hexTable(`
e8 00 00 00 00, 0x1005
e9 fb ff ff ff, 0x1000
0f 84 10 00 00 00, 0x1016
0f 8f fa ff ff ff c3, 0x1000
# backwards over zero, as the processor wraps
e8 00 00 00 80, 0xffffffff80001005
# short jumps, other instructions, a part of one
eb 10, none
0f 1f 44 00 00, none
e8 00 00 00, none
0f 84 00 00 00, none
, none
`);

describe('readRel32Target', () => {
  it.each(targets)('$line', ({ bytes, expected }) => {
    const target = readRel32Target(bytes, 0x1000n);
    expect(target === undefined ? 'none' : hex(target)).toBe(expected);
  });
});
