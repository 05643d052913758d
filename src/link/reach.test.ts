import { describe, expect, it } from 'vitest';
import {
  R_X86_64_8,
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PLT32,
} from '../elf/constants.ts';
import { toAddress } from '../kernel/address.ts';
import { checkReach, fieldBytes } from './reach.ts';

const KERNEL_TEXT = 0xffffffff81000000n;
const PER_CPU = 0x1ac00n;
const DIRECT_MAP = 0xffff888000000000n;
const VMALLOC = 0xffffc90000000000n;

describe('checkReach', () => {
  it.each([
    ['call of kernel text', R_X86_64_PLT32, KERNEL_TEXT, -4],
    ['the first and the last byte that a module can be at', R_X86_64_PC32, 0xffffffff80000000n, -4],
    ['a per-CPU offset, which wraps', R_X86_64_PC32, PER_CPU, -4],
    ['an address sign-extended', R_X86_64_32S, KERNEL_TEXT, 8],
    ['a small value', R_X86_64_32, PER_CPU, 0],
    ['any address in 64 bits', R_X86_64_64, DIRECT_MAP, 0],
  ])('%s is reached', (_what, type, value, addend) => {
    expect(() => checkReach('x.o: .text+0x1', type, toAddress(value), addend)).not.toThrow();
  });

  it.each([
    ['the direct map', R_X86_64_PC32, DIRECT_MAP, -4],
    ['vmalloc memory', R_X86_64_PLT32, VMALLOC, -4],
    [
      'an address that is reached from the start of the module area only',
      R_X86_64_PC32,
      0xffffffff40001000n,
      -4,
    ],
    ['an address of the direct map in 32 bits', R_X86_64_32S, DIRECT_MAP, 0],
    ['kernel text, zero-extended', R_X86_64_32, KERNEL_TEXT, 0],
  ])('%s is not', (_what, type, value, addend) => {
    expect(() => checkReach('x.o: .text+0x1', type, toAddress(value), addend)).toThrow(
      /^x\.o: \.text\+0x1: R_X86_64_\w+ does not reach 0x/,
    );
  });
});

describe('fieldBytes', () => {
  it('refuses what the module loader does not know', () => {
    expect([R_X86_64_64, R_X86_64_32S, R_X86_64_PLT32].map(fieldBytes)).toEqual([8, 4, 4]);
    expect(() => fieldBytes(R_X86_64_8)).toThrow(/R_X86_64_8: the module loader does not know it/);
  });
});
