import { beforeAll, describe, expect, it } from 'vitest';
import { hexTable, hexToBytes } from '../../test/support/hex-table.ts';
import { hex } from '../diagnostics/hex.ts';
import { type Decoder, loadDecoder } from './decoder.ts';
import { formatInstructions } from './format.ts';

let decoder: Decoder;
beforeAll(async () => {
  decoder = await loadDecoder();
});

const texts = hexTable(`
55, push %rbp
48 89 e5, mov %rsp,%rbp
0f 1f 44 00 00, nopl 0x0(%rax,%rax)
65 48 8b 04 25 28 00 00 00, mov %gs:0x28,%rax
48 c7 c0 00 00 00 81, mov $0xffffffff81000000,%rax
8b 44 24 f8, mov -0x8(%rsp),%eax
e8 fb ff ff ff, call 0x1000
ff d0, call *%rax
48 8b 05 10 00 00 00, mov 0x10(%rip),%rax  # 0x1017
f0 48 0f b1 0e, lock cmpxchg %rcx,(%rsi)
c3, ret
06, (bad)
`);

describe('formatInstructions', () => {
  it.each(texts)('$line', ({ bytes, expected }) => {
    const [line = ''] = formatInstructions(decoder, bytes, 0x1000n);
    expect(line.replace(/^ *0x1000: {2}[0-9a-f ]*? {2}/, '')).toBe(expected);
  });

  const base = 0xffff_ffff_8100_0000n;
  const code = hexToBytes('55 e8 ff 0f 00 00 0f 1f 44 00 00 48 8b 05 00 00 00 00 c3');
  const symbolise = (address: bigint): string | undefined => {
    if (address === base + 0x1005n) return '__fentry__';
    return address < base + 0x12n ? `show+${hex(address - base)}` : undefined;
  };

  it('names places and targets, in columns', () => {
    expect(formatInstructions(decoder, code, base, { symbolise })).toEqual([
      '  show+0x0:            55                    push %rbp',
      '  show+0x1:            e8 ff 0f 00 00        call 0xffffffff81001005 <__fentry__>',
      '  show+0x6:            0f 1f 44 00 00        nopl 0x0(%rax,%rax)',
      '  show+0xb:            48 8b 05 00 00 00 00  mov 0x0(%rip),%rax  # 0xffffffff81000012',
      '  0xffffffff81000012:  c3                    ret',
    ]);
  });

  it('marks the instruction that holds an offset, and shows its neighbours only', () => {
    expect(formatInstructions(decoder, code, base, { symbolise, around: 3, context: 1 })).toEqual([
      '  show+0x0:  55              push %rbp',
      '> show+0x1:  e8 ff 0f 00 00  call 0xffffffff81001005 <__fentry__>',
      '  show+0x6:  0f 1f 44 00 00  nopl 0x0(%rax,%rax)',
    ]);
  });

  it('shows everything when the marked offset is outside', () => {
    expect(formatInstructions(decoder, code, base, { around: 100, context: 1 })).toHaveLength(5);
  });
});
