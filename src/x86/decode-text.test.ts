import { describe, expect, it } from 'vitest';
import { decodeText, instructionAt } from './decode-text.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('decodeText', () => {
  it('tells how far a displacement is from the end of its instruction', () => {
    // movb $1, disp32(%rip): one immediate byte follows the displacement
    const [move] = decodeText(bytes('c6 05 00 00 00 00 01'));
    expect(move).toMatchObject({ offset: 0, length: 7, displacement: 2, immediate: 6, lea: false });
  });

  it('tells an address taken from a memory access', () => {
    // lea disp32(%rip), %rax; mov disp32(%rip), %rax
    const [lea, load] = decodeText(bytes('48 8d 05 00 00 00 00 48 8b 05 00 00 00 00'));
    expect([lea?.lea, load?.lea]).toEqual([true, false]);
  });

  it('gives the targets of near branches, also backwards out of the bytes', () => {
    // call +0; jmp short -0x20; jne near +0x10; ret
    const found = decodeText(bytes('e8 00 00 00 00 eb de 0f 85 10 00 00 00 c3'));
    expect(found.map((each) => [each.branch, each.target])).toEqual([
      ['call', 5],
      ['jmp', 7 - 0x22],
      ['jcc', 13 + 0x10],
      [undefined, undefined],
    ]);
  });

  it('takes an indirect call for no near branch', () => {
    const [call] = decodeText(bytes('ff 15 00 00 00 00'));
    expect(call).toMatchObject({ branch: undefined, target: undefined, displacement: 2 });
  });

  it('steps over a byte that is no instruction', () => {
    const found = decodeText(bytes('06 c3'));
    expect(found.map((each) => [each.offset, each.length, each.valid])).toEqual([
      [0, 1, false],
      [1, 1, true],
    ]);
  });
});

describe('instructionAt', () => {
  it('finds the instruction that covers an offset', () => {
    const found = decodeText(bytes('90 e8 00 00 00 00 c3'));
    expect(instructionAt(found, 3)?.offset).toBe(1);
    expect(instructionAt(found, 6)?.offset).toBe(6);
    expect(instructionAt(found, 7)).toBeUndefined();
  });
});
