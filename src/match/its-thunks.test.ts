/**
 * Indirect branches on a CPU with ITS (Indirect Target Selection): each that would end in the lower half of a cache line
 * is a branch to a thunk (emit_its_trampoline() in arch/x86/kernel/alternative.c). No emulated CPU makes a kernel do
 * so, since it needs retpolines; so memory is made here as that function writes it.
 */
import { describe, expect, it } from 'vitest';
import { buildObject } from '../../test/support/elf-builder.ts';
import type { FakeKernel } from '../../test/support/fake-kernel.ts';
import { bytesOf32 } from '../../test/support/kernel-code.ts';
import { smallKernel } from '../../test/support/small-kernel.ts';
import type { ObjectFile } from '../elf/model.ts';
import { matchUnit } from './match-unit.ts';

/** The lower half of a cache line, and the upper one. */
const LOWER = 0xffffffff81234000n;
const UPPER = 0xffffffff81234020n;
/** A page of thunks, at a place in its upper half, and the thunks that are in the kernel. */
const PAGE = 0xffffffffc0900000n;
const OWN = 0xffffffff81f80020n;

const registers = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
/** `BUG_ON(reg == 4)`: nobody branches through the stack pointer. */
const used = registers.map((name, number) => ({ name, number })).filter(({ name }) => name !== 'rsp');

type Form = 'call' | 'jmp' | 'jcc';
const forms: readonly Form[] = ['call', 'jmp', 'jcc'];

/** As compiled; gcc puts a CS prefix before those of r8 to r15. */
function opcodes(form: Form, register: number): readonly number[] {
  if (form === 'jcc') return [0x0f, 0x85];
  return [...(register >= 8 ? [0x2e] : []), form === 'call' ? 0xe8 : 0xe9];
}

/** A function that is one branch, and what follows it. */
function unitOf(form: Form, register: number): ObjectFile {
  const code = opcodes(form, register);
  const thunk = `__x86_indirect_thunk_${registers[register] ?? ''}`;
  return buildObject({
    sections: {
      '.text': { bytes: [...code, 0, 0, 0, 0, 0x31, 0xc0], relocations: [[code.length, 'PLT32', thunk, -4]] },
      '.retpoline_sites': { bytes: [0, 0, 0, 0], relocations: [[0, 'PC32', '.text', 0]] },
    },
    symbols: { f: { section: '.text', type: 'func', size: code.length + 6 } },
  });
}

function jumpThrough(register: number, modrm = 0xe0): readonly number[] {
  return [...(register >= 8 ? [0x41] : []), 0xff, modrm + (register & 7)];
}

/** What the kernel writes for a thunk at `target`. */
function trampoline(form: Form, register: number, at: bigint, target: bigint): readonly number[] {
  const code = opcodes(form, register);
  return [...code, ...bytesOf32(target - at - BigInt(code.length) - 4n)];
}

interface Scene {
  readonly kernel: FakeKernel;
  /** Writes to where the branch is. */
  readonly write: (bytes: readonly number[]) => void;
  /** What was found, or `mismatch`. */
  readonly found: () => string;
}

function scene(form: Form, register: number, at: bigint): Scene {
  const kernel = smallKernel();
  const object = unitOf(form, register);
  kernel.load(object, { '.text': at });
  return {
    kernel,
    write: (bytes) => {
      kernel.write(at, bytes);
    },
    found: () => {
      const result = matchUnit(object, kernel);
      return result.kind === 'match' ? [...result.explained.keys()].join(', ') : 'mismatch';
    },
  };
}

describe('a branch to a thunk', () => {
  const kinds = forms.flatMap((form) => used.map(({ name, number }) => [form, name, number] as const));

  it.each(kinds)('%s through %s, to one on a page of thunks', (form, _, register) => {
    const { kernel, write, found } = scene(form, register, LOWER);
    // The branch ends in the upper half, or its line would be unsafe in turn.
    const size = BigInt(jumpThrough(register).length + 1);
    for (const target of [PAGE + 0x20n, PAGE + 0x40n - size, PAGE + 0x1000n - size, PAGE + 0x1e0n]) {
      kernel.map(target, [...jumpThrough(register), 0xcc]);
      write(trampoline(form, register, LOWER, target));
      expect(found(), target.toString(16)).toBe('retpoline: ITS thunk');
    }
  });

  it.each(kinds)('%s through %s, to the one in the kernel', (form, name, register) => {
    const { kernel, write, found } = scene(form, register, LOWER);
    kernel.define(`__x86_indirect_its_thunk_${name}`, OWN);
    kernel.define(`__x86_indirect_its_thunk_${name === 'rax' ? 'rdx' : 'rax'}`, OWN + 0x40n);
    write(trampoline(form, register, LOWER, OWN));
    expect(found()).toBe('retpoline: ITS thunk');
    write(trampoline(form, register, LOWER, OWN + 0x40n));
    expect(found()).toBe('mismatch');
  });

  it.each<readonly [string, bigint, readonly number[]]>([
    ['in the lower half of a cache line', PAGE + 0x40n, [0xff, 0xe2, 0xcc]],
    ['that ends in the next one', PAGE + 0x3fn, [0xff, 0xe2, 0xcc]],
    ['through another register', PAGE + 0x20n, [0xff, 0xe1, 0xcc]],
    ['through r10', PAGE + 0x20n, [0x41, 0xff, 0xe2, 0xcc]],
    ['that calls', PAGE + 0x20n, [0xff, 0xd2, 0xcc]],
    ['with something behind it', PAGE + 0x20n, [0xff, 0xe2, 0x90]],
    ['where no page of thunks can be', 0xffffffff81f90020n, [0xff, 0xe2, 0xcc]],
  ])('not to one %s', (_, target, bytes) => {
    const { kernel, write, found } = scene('call', 2, LOWER);
    kernel.map(target, bytes);
    write(trampoline('call', 2, LOWER, target));
    expect(found()).toBe('mismatch');
  });

  it('not to where no memory is', () => {
    const { write, found } = scene('call', 2, LOWER);
    write(trampoline('call', 2, LOWER, PAGE + 0x20n));
    expect(found()).toBe('mismatch');
  });

  it('not without its prefix, nor under another condition, nor a jump for a call', () => {
    const long = scene('call', 11, LOWER);
    long.kernel.map(PAGE + 0x20n, [0x41, 0xff, 0xe3, 0xcc]);
    const [, ...bare] = trampoline('call', 11, LOWER, PAGE + 0x20n);
    long.write([0x3e, ...bare]);
    expect(long.found()).toBe('mismatch');
    const conditional = scene('jcc', 0, LOWER);
    conditional.kernel.map(PAGE + 0x20n, [0xff, 0xe0, 0xcc]);
    const branch = trampoline('jcc', 0, LOWER, PAGE + 0x20n);
    conditional.write([0x0f, 0x84, ...branch.slice(2)]);
    expect(conditional.found()).toBe('mismatch');
    const call = scene('call', 0, LOWER);
    call.kernel.map(PAGE + 0x20n, [0xff, 0xe0, 0xcc]);
    call.write(trampoline('jmp', 0, LOWER, PAGE + 0x20n));
    expect(call.found()).toBe('mismatch');
  });
});

describe('next to a branch to a thunk, on the same CPU', () => {
  /** Two calls through %rdx, the first at `at`, the second 32 bytes on. */
  function pair(
    at: bigint,
    first: (at: bigint) => readonly number[],
    second: (at: bigint) => readonly number[],
  ): string {
    const object = buildObject({
      sections: {
        '.text': {
          bytes: [0xe8, 0, 0, 0, 0, ...Array.from({ length: 27 }, () => 0x90), 0xe8, 0, 0, 0, 0, 0xc3],
          relocations: [
            [1, 'PLT32', '__x86_indirect_thunk_rdx', -4],
            [33, 'PLT32', '__x86_indirect_thunk_rdx', -4],
          ],
        },
        '.retpoline_sites': {
          bytes: [0, 0, 0, 0, 0, 0, 0, 0],
          relocations: [
            [0, 'PC32', '.text', 0],
            [4, 'PC32', '.text', 32],
          ],
        },
      },
      symbols: { f: { section: '.text', type: 'func', size: 38 } },
    });
    const kernel = smallKernel();
    kernel.load(object, { '.text': at });
    kernel.map(PAGE + 0x20n, [0xff, 0xe2, 0xcc]);
    kernel.write(at, first(at));
    kernel.write(at + 32n, second(at + 32n));
    const result = matchUnit(object, kernel);
    return result.kind === 'match' ? [...result.explained.keys()].join(', ') : 'mismatch';
  }
  const byThunk = (at: bigint): readonly number[] => trampoline('call', 2, at, PAGE + 0x20n);
  const direct = (): readonly number[] => [0xff, 0xd2, 0x0f, 0x1f, 0x00];
  const fenced = (): readonly number[] => [0x0f, 0xae, 0xe8, 0xff, 0xd2];
  const retpoline = (at: bigint): readonly number[] => trampoline('call', 2, at, 0xffffffff81f05040n);

  it('a branch that ends in the upper half is left as one, with a fence or without', () => {
    expect(pair(LOWER, byThunk, direct)).toBe('retpoline: ITS thunk, retpoline: indirect branch');
    expect(pair(LOWER, byThunk, fenced)).toBe('retpoline: ITS thunk, retpoline: lfence');
    expect(pair(UPPER, direct, byThunk)).toBe('retpoline: indirect branch, retpoline: ITS thunk');
  });

  it('one that ends in the lower half is not, even if it begins in the upper', () => {
    expect(pair(UPPER, byThunk, direct)).toBe('mismatch');
    expect(pair(UPPER, byThunk, fenced)).toBe('mismatch');
    // ff d2 over the border: it ends in the first byte of the next line.
    expect(pair(LOWER - 1n, direct, byThunk)).toBe('mismatch');
    expect(pair(UPPER - 1n, direct, byThunk)).toBe('retpoline: indirect branch, retpoline: ITS thunk');
    // The last byte of either half is its own.
    expect(pair(UPPER - 2n, direct, byThunk)).toBe('mismatch');
    expect(pair(UPPER + 0x1en, direct, byThunk)).toBe('retpoline: indirect branch, retpoline: ITS thunk');
  });

  it('there is no retpoline', () => {
    expect(pair(LOWER, byThunk, retpoline)).toBe('mismatch');
  });
});
