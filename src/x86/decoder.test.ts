import { beforeAll, describe, expect, it, vi } from 'vitest';
import { hexTable, hexToBytes } from '../../test/support/hex-table.ts';
import { hex, hexBytes } from '../diagnostics/hex.ts';
import { type Decoder, loadDecoder } from './decoder.ts';
import type { ConstantField, Instruction } from './instruction.ts';
import { nopLength } from './nops.ts';

let decoder: Decoder;
beforeAll(async () => {
  decoder = await loadDecoder();
});

// Length, flow, and what else the record has: imm and disp as offset/size, target and ip as addresses.
const instructions = hexTable(`
# plain
55, 1 next
48 89 e5, 3 next
f3 0f 1e fa, 4 next
# constants
48 c7 c0 00 00 00 81, 7 next imm=3/4
48 b8 88 77 66 55 44 33 22 11, 10 next imm=2/8
83 c0 ff, 3 next imm=2/1
8b 44 24 f8, 4 next disp=3/1
65 48 8b 04 25 28 00 00 00, 9 next disp=5/4
c7 80 10 01 00 00 2a 00 00 00, 10 next imm=6/4 disp=2/4
# relative to %rip: from the end of the instruction, immediates included
48 8b 05 10 00 00 00, 7 next disp=3/4 ip=0x1017
c7 05 01 00 00 00 2a 00 00 00, 10 next imm=6/4 disp=2/4 ip=0x100b
# branches
eb fe, 2 jump imm=1/1 target=0x1000
e9 00 01 00 00, 5 jump imm=1/4 target=0x1105
74 05, 2 conditional imm=1/1 target=0x1007
0f 84 00 00 00 00, 6 conditional imm=2/4 target=0x1006
e3 05, 2 conditional imm=1/1 target=0x1007
e2 fe, 2 conditional imm=1/1 target=0x1000
c7 f8 04 00 00 00, 6 conditional imm=2/4 target=0x100a
e8 00 00 00 00, 5 call imm=1/4 target=0x1005
2e e8 00 00 00 00, 6 call imm=2/4 target=0x1006
# through registers and memory
ff d0, 2 indirect-call
ff e0, 2 indirect-jump
ff 14 25 00 00 00 81, 7 indirect-call disp=3/4
ff 25 00 00 00 00, 6 indirect-jump disp=2/4 ip=0x1006
# returns
c3, 1 return
c2 08 00, 3 return imm=1/2
48 cf, 2 return
48 0f 07, 3 return
# into a handler
cc, 1 interrupt
cd 80, 2 interrupt imm=1/1
0f 0b, 2 interrupt
0f 05, 2 interrupt
0f 01 c1, 3 interrupt
# no instruction in 64-bit code, and one that is cut off
06, 1 invalid
0f, 1 invalid
e8 00 00 00, 1 invalid
`);

describe('decodeAll', () => {
  it.each(instructions)('$line', ({ bytes, expected }) => {
    const [first] = decoder.decodeAll(bytes, 0x1000n);
    expect(first).toMatchObject({ offset: 0, address: 0x1000n });
    expect(first === undefined ? '' : describeInstruction(first)).toBe(expected);
  });

  it('keeps step: offsets, addresses and bytes of each instruction', () => {
    // 0f 04 is no instruction, 04 c3 is one.
    const code = hexToBytes('55 06 e8 00 00 00 00 0f 04 c3 0f');
    const found = decoder.decodeAll(code, 0xffff_ffff_8100_0000n);
    expect(found.map(({ offset, bytes }) => `${offset}: ${hexBytes(bytes)}`)).toEqual([
      '0: 55',
      '1: 06',
      '2: e8 00 00 00 00',
      '7: 0f',
      '8: 04 c3',
      '10: 0f',
    ]);
    expect(found[2]).toMatchObject({ address: 0xffff_ffff_8100_0002n, target: 0xffff_ffff_8100_0007n });
    expect(found[2]?.bytes.buffer).toBe(code.buffer);
  });

  it('takes every entry of the nop table for one instruction', () => {
    for (let prefixes = 0; prefixes <= 6; prefixes++) {
      const nop = Uint8Array.of(...Array<number>(prefixes).fill(0x66), 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0);
      if (prefixes > 0) expect(nopLength(nop, 0)).toBe(nop.length);
      expect(decoder.decodeAll(nop, 0n)).toHaveLength(1);
    }
  });

  it('frees what it takes from WebAssembly memory', async () => {
    const iced = await import('iced-x86');
    const freed = [iced.Decoder, iced.Instruction, iced.ConstantOffsets, iced.Formatter].map((handle) =>
      vi.spyOn(handle.prototype, 'free'),
    );
    const instructions = decoder.decodeAll(hexToBytes('55 06 e8 00 00 00 00 c3'), 0n);
    // One of each for the walk, and the offsets of each of the three valid instructions.
    expect(freed.map((spy) => spy.mock.calls.length)).toEqual([1, 1, 3, 0]);
    decoder.textOf(instructions);
    expect(freed.map((spy) => spy.mock.calls.length)).toEqual([4, 4, 3, 1]);
    for (const spy of freed) spy.mockRestore();
  });
});

describe('instructionAt', () => {
  it('decodes one instruction, from the middle of the code', () => {
    const code = hexToBytes('55 e8 00 00 00 00 c3');
    expect(decoder.instructionAt(code, 1, 0x1000n)).toMatchObject({
      offset: 1,
      address: 0x1001n,
      length: 5,
      target: 0x1006n,
    });
  });

  it('is invalid and empty at the end of the code', () => {
    expect(decoder.instructionAt(hexToBytes('55'), 1, 0n)).toMatchObject({ length: 0, flow: 'invalid' });
  });
});

describe('boundaryAtOrAfter', () => {
  const code = hexToBytes('0f 1f 44 00 00 55 48 89 e5 48 83 ec 10 06');
  it.each([
    [0, 5, 5],
    [5, 5, 8],
    [5, 4, 4],
    [5, 1, 1],
    [5, 0, 1],
    [5, 8, 8],
  ])('from %i at least %i bytes: %i', (start, minimum, expected) => {
    expect(decoder.boundaryAtOrAfter(code, start, minimum)).toBe(expected);
  });

  it('knows none when the code ends or is no code', () => {
    expect(decoder.boundaryAtOrAfter(code, 5, 9)).toBeUndefined();
    expect(decoder.boundaryAtOrAfter(code.subarray(0, 9), 5, 5)).toBeUndefined();
    expect(decoder.boundaryAtOrAfter(code, 14, 1)).toBeUndefined();
  });
});

function describeInstruction(instruction: Instruction): string {
  const { immediate, displacement, target, ipRelative } = instruction;
  return (
    `${instruction.length} ${instruction.flow}` +
    field('imm', immediate) +
    field('disp', displacement) +
    place('target', target) +
    place('ip', ipRelative)
  );
}

function field(name: string, value: ConstantField | undefined): string {
  return value === undefined ? '' : ` ${name}=${value.offset}/${value.size}`;
}

function place(name: string, value: bigint | undefined): string {
  return value === undefined ? '' : ` ${name}=${hex(value)}`;
}
