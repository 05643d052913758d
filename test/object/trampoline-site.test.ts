import { describe, expect, it } from 'vitest';
import { RefusedError } from '../../src/diagnostics/error.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { trampolineSites } from '../../src/update/trampoline-site.ts';
import { loadDecoder } from '../../src/x86/decoder.ts';
import { openWorkshop } from '../support/compile.ts';

const decoder = await loadDecoder();

function sitesOf(source: string, names: readonly string[], flags: readonly string[]): readonly object[] {
  using workshop = openWorkshop();
  workshop.compile('unit.c', source, ['-O2', '-fcf-protection=none', '-fno-PIE', ...flags]);
  return trampolineSites(readObject(workshop.read('unit.o'), 'unit.o'), names, decoder);
}

const TRACED = ['-pg', '-mfentry', '-mrecord-mcount'];
const SOURCE = `
  extern volatile long counter;
  long traced(long x) { counter = x; return x * 7; }
  __attribute__((no_instrument_function)) long plain(long x) { counter = x; return x * 7; }
  __attribute__((no_instrument_function)) void tiny(void) {}
`;

describe('trampolineSites', () => {
  it('lies behind the ftrace entry where there is one, and covers whole instructions', () => {
    // mov %rdi, counter(%rip) has 7 bytes; it comes first in both, behind `call __fentry__` in the traced one.
    const body = '(void) { __asm__ volatile("mov %rdi, counter(%rip)"); }';
    const store = `void traced${body}\n__attribute__((no_instrument_function)) void plain${body}`;
    expect(sitesOf(store, ['traced', 'plain'], TRACED)).toEqual([
      { offset: 5, size: 7, needsLivepatch: null },
      { offset: 0, size: 7, needsLivepatch: null },
    ]);
  });

  it('marks a function with a static branch where the jump would go', () => {
    const branch = `1: .byte 0x0f, 0x1f, 0x44, 0, 0; 2:
      .pushsection __jump_table, \\"aw\\"; .long 1b - ., 2b - .; .quad key - .; .popsection`;
    const source = `long key; void f(void) { __asm__ volatile("${branch.replaceAll('\n', ' ')}"); }`;
    expect(sitesOf(source, ['f'], TRACED)).toEqual([{ offset: 5, size: 5, needsLivepatch: 'jump-label' }]);
  });

  it('takes as many short instructions as a jump covers', () => {
    const pushes =
      'void f(void) { __asm__ volatile("push %r12; push %r13; push %r14; pop %r14; pop %r13; pop %r12"); }';
    expect(sitesOf(pushes, ['f'], [])).toEqual([{ offset: 0, size: 6, needsLivepatch: null }]);
  });

  it('is refused in a function without ftrace entry that has no room for a jump', () => {
    expect(() => sitesOf(SOURCE, ['tiny'], TRACED)).toThrow(RefusedError);
    expect(() => sitesOf(SOURCE, ['tiny'], TRACED)).toThrow(
      /unit\.o: tiny: 1 bytes, no room for a jump of 5, and no ftrace entry/,
    );
  });

  it('is left to livepatch where a traced function ends too soon behind its entry', () => {
    // call __fentry__; ret
    expect(sitesOf('void short_one(void) {}', ['short_one'], TRACED)).toEqual([
      { offset: 5, size: 5, needsLivepatch: 'no-room' },
    ]);
  });

  it('is refused for a function that is not in the unit', () => {
    expect(() => sitesOf(SOURCE, ['absent'], [])).toThrow(/0 functions absent/);
  });
});
