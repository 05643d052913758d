import { describe, expect, it } from 'vitest';
import { smallKernel } from '../../test/support/small-kernel.ts';
import { kprobesIn, parseKprobes } from './text-patches.ts';

const PAGE = 0xffffffffc0300000n;

const list = [
  'ffffffff81234010  k  show+0x10    ',
  'ffffffff81234020  r  show+0x20    [DISABLED]',
  'ffffffff81235000  k  trace_me+0x0    [FTRACE]',
  'ffffffff81236000  k  gone+0x4  veth [GONE]',
  'ffffffff81237008  k  fast+0x8    [OPTIMIZED]',
  '',
].join('\n');

function probes(): ReturnType<typeof parseKprobes> {
  const kernel = smallKernel();
  kernel.define('kprobe_optinsn_page', PAGE, 't', '__builtin__kprobes');
  return parseKprobes(list, kernel);
}

describe('parseKprobes', () => {
  it('takes those that have written to the text, and no other', () => {
    expect(probes().map(({ at, size, owner }) => [at.toString(16), size, owner])).toEqual([
      ['ffffffff81234010', 1, 'the kprobe at show+0x10'],
      ['ffffffff81237008', 5, 'the kprobe at fast+0x8'],
    ]);
  });

  it('knows what they write: a breakpoint, or a jump to where optimised probes are', () => {
    const [breakpoint, jump] = probes();
    expect(breakpoint?.isLegal(Uint8Array.of(0xcc))).toBe(true);
    expect(breakpoint?.isLegal(Uint8Array.of(0x90))).toBe(false);
    const bytes = Buffer.alloc(5);
    bytes[0] = 0xe9;
    bytes.writeInt32LE(Number(PAGE + 0x80n - 0xffffffff8123700dn), 1);
    expect(jump?.isLegal(bytes)).toBe(true);
    bytes.writeInt32LE(Number(PAGE + 0x1080n - 0xffffffff8123700dn), 1);
    expect(jump?.isLegal(bytes)).toBe(false);
    expect(jump?.isLegal(Uint8Array.of(0xe8, 0, 0, 0, 0))).toBe(false);
  });

  it('has nothing to say without a list', () => {
    expect(parseKprobes('', smallKernel())).toEqual([]);
  });
});

describe('kprobesIn', () => {
  it('names those in the bodies of these functions', () => {
    expect(kprobesIn(['show', 'trace_me', 'gone'], list)).toEqual(['the kprobe at show+0x10']);
    expect(kprobesIn(['fast', 'sho'], list)).toEqual(['the kprobe at fast+0x8']);
    expect(kprobesIn([], list)).toEqual([]);
  });
});
