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

  it('gives the place that an operand names relative to its instruction', () => {
    // lea -9(%rip), %rax; cmpb $1, 0x10(%rip); mov (%rax), %eax
    const found = decodeText(bytes('48 8d 05 f7 ff ff ff 80 3d 10 00 00 00 01 8b 00'));
    expect(found.map((each) => each.memory)).toEqual([-2, 0x1e, undefined]);
  });

  it('tells where control does not go on', () => {
    // jmp +0; jne +0; call +0; jmp *%rax; call *%rax; ud2; int3; nop; ret
    const found = decodeText(bytes('eb 00 75 00 e8 00 00 00 00 ff e0 ff d0 0f 0b cc 90 c3'));
    expect(found.map((each) => each.ends)).toEqual([
      true,
      false,
      false,
      true,
      false,
      true,
      true,
      false,
      true,
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
