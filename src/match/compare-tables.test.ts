/**
 * The same code, and tables that say something else about it.
 */
import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import type { FakeKernel } from '../../test/support/fake-kernel.ts';
import { units } from '../../test/support/place-units.ts';
import { smallKernel } from '../../test/support/small-kernel.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import { matchUnit } from './match-unit.ts';

const TEXT = 0xffffffff81234000n;
const zeroes = (count: number): number[] => Array.from({ length: count }, () => 0);

/** f: a fault with a fixup, and a WARN; 31 c0, 0f 0b, c3, c3. */
const faulting: ObjectRecord = {
  sections: {
    '.text': { bytes: [0x31, 0xc0, 0x0f, 0x0b, 0xc3, 0xc3] },
    __ex_table: {
      bytes: [...zeroes(8), 3, 0, 0, 0],
      relocations: [
        [0, 'PC32', '.text', 0],
        [4, 'PC32', '.text', 4],
      ],
    },
    '.rodata.str1.1': { bytes: [...Buffer.from('fs/a.c\0')], flags: 0x32, entrySize: 1 },
    __bug_table: {
      bytes: [...zeroes(8), 0x34, 0x12, 0x01, 0x09],
      relocations: [
        [0, 'PC32', '.text', 2],
        [4, 'PC32', '.rodata.str1.1', 0],
      ],
    },
    '.orc_unwind_ip': {
      bytes: zeroes(12),
      relocations: [
        [0, 'PC32', '.text', 0],
        [4, 'PC32', '.text', 2],
        [8, 'PC32', '.text', 6],
      ],
    },
    '.orc_unwind': { bytes: [8, 0, 0, 0, 5, 0, 16, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0] },
  },
  symbols: { f: { section: '.text', type: 'func', size: 6 } },
};

interface Case {
  readonly kernel: FakeKernel;
  readonly match: () => string;
  readonly table: (name: string, offset?: number) => Address;
}

function load(record: ObjectRecord, isRunning = true, module?: string): Case {
  const kernel = smallKernel();
  kernel.isRunning = isRunning;
  const object = buildObject(record, 'fs/a.o');
  kernel.load(object, { '.text': TEXT }, module === undefined ? {} : { module });
  return {
    kernel,
    match: (): string => {
      const result = matchUnit(object, kernel, module === undefined ? {} : { target: module });
      if (result.kind === 'match') return 'match';
      const { mismatch } = result;
      return mismatch.kind === 'code' ? `code ${mismatch.offset}` : `${mismatch.name}: ${mismatch.found}`;
    },
    table: (name, offset = 0) => {
      const own = module === undefined ? undefined : kernel.sectionsOf(module).get(name);
      if (own !== undefined) return addressAt(own, offset);
      const [start] = kernel.named(`__start_${name}`);
      if (start === undefined) throw new Error(name);
      return addressAt(start.address, offset);
    },
  };
}

describe('tables about matched code', () => {
  it.each([true, false])('are the same as in the unit (running: %s)', (isRunning) => {
    for (const record of [faulting, units.label, units.labelShort, units.staticCall, units.staticTail]) {
      expect(load(record, isRunning).match()).toBe('match');
    }
  });

  it.each<readonly [string, ObjectRecord, string, number, readonly number[], RegExp]>([
    ['a branch by another key', units.label, '__jump_table', 8, [0x10], /^__jump_table about \.text\+0x2/],
    ['a branch to elsewhere', units.label, '__jump_table', 4, [0x10], /^__jump_table about/],
    ['a call by another key', units.staticCall, 'static_call_sites', 4, [0x18], /^\.static_call_sites about/],
    ['a fault with another fixup', faulting, '__ex_table', 4, [0x77], /^__ex_table about \.text\+0x0/],
    ['a fault of another kind', faulting, '__ex_table', 8, [4], /^__ex_table about/],
    ['a WARN of another line', faulting, '__bug_table', 8, [0x35], /^__bug_table about \.text\+0x2/],
    ['a BUG for a WARN', faulting, '__bug_table', 10, [0], /^__bug_table about/],
    ['a frame unwound in another way', faulting, 'orc_unwind', 6, [24], /^\.orc_unwind_ip about \.text\+0x2/],
  ])('%s does not match', (_, record, table, offset, bytes, expected) => {
    const { kernel, match, table: at } = load(record);
    kernel.write(at(table, offset), bytes);
    expect(match()).toMatch(expected);
  });

  it('a WARN_ONCE that has fired is the same', () => {
    const { kernel, match, table } = load(faulting);
    kernel.write(table('__bug_table', 10), [0x05]);
    expect(match()).toBe('match');
  });

  it('an entry that the unit does not have is found', () => {
    const more: ObjectRecord = {
      ...faulting,
      sections: {
        ...faulting.sections,
        __ex_table: {
          bytes: zeroes(24),
          relocations: [
            [0, 'PC32', '.text', 0],
            [4, 'PC32', '.text', 4],
            [12, 'PC32', '.text', 2],
            [16, 'PC32', '.text', 4],
          ],
        },
      },
    };
    const kernel = smallKernel();
    kernel.load(buildObject(more), { '.text': TEXT });
    expect(matchUnit(buildObject(faulting), kernel)).toMatchObject({
      kind: 'mismatch',
      mismatch: { name: '__ex_table about .text', found: '2 entries', expected: '1 as in the unit' },
    });
  });

  it('a kernel without a table that the unit has entries for does not match', () => {
    const { kernel, match } = load(faulting);
    kernel.forget('__start___bug_table');
    expect(match()).toBe('__bug_table: no such table');
  });

  it.each<readonly [string, number, readonly number[], RegExp]>([
    ['__ex_table', 4, [0x77], /^__ex_table about \.text\+0x0/],
    ['__bug_table', 8, [0x35], /^__bug_table about \.text\+0x2/],
    ['.orc_unwind', 6, [24], /^\.orc_unwind_ip about \.text\+0x2/],
  ])('are those of the module that the unit is part of: %s', (section, offset, bytes, expected) => {
    const { kernel, match, table } = load(faulting, true, 'veth');
    // The kernel proper has tables of its own, which say nothing about the module.
    expect(match()).toBe('match');
    kernel.write(table(section, offset), bytes);
    expect(match()).toMatch(expected);
  });

  it('a static call of a module that may not see the key: the kernel puts the key in place of the trampoline', () => {
    const { sections, ...rest } = units.staticCall;
    const record: ObjectRecord = {
      ...rest,
      sections: {
        ...sections,
        '.static_call_sites': {
          bytes: zeroes(8),
          relocations: [
            [0, 'PC32', '.text', 2],
            [4, 'PC32', '__SCT__x', 0],
          ],
        },
      },
    };
    const { kernel, match, table } = load(record, true, 'veth');
    expect(match()).toBe('match');
    const field = table('.static_call_sites', 4);
    const pointTo = (name: string): void => {
      const [symbol] = kernel.named(name);
      if (symbol === undefined) throw new Error(name);
      const distance = Buffer.alloc(4);
      distance.writeInt32LE(Number(symbol.address - field));
      kernel.write(field, [...distance]);
    };
    pointTo('__SCK__x');
    expect(match()).toBe('match');
    pointTo('printk');
    expect(match()).toMatch(/^\.static_call_sites about/);
  });

  it('a static call site that begins at an odd address, as in ixgbevf, is read as the kernel reads it', () => {
    const { match, table } = load(units.staticCall, true, 'veth');
    expect(table('.static_call_sites') % 4n).toBe(1n);
    expect(match()).toBe('match');
  });

  it('an entry that the module has and the unit has not is found, and the padding behind a table is none', () => {
    const { kernel, match, table } = load(faulting, true, 'veth');
    const behind = table('__bug_table', 12);
    const distance = Buffer.alloc(4);
    distance.writeInt32LE(Number(TEXT + 4n - behind));
    kernel.write(behind, [...distance]);
    expect(match()).toBe('__bug_table about .text: 2 entries');
  });

  it('what begins where another section ends has entries of both there', () => {
    const kernel = smallKernel();
    kernel.load(buildObject(faulting), { '.text': TEXT });
    const next = buildObject(faulting, 'fs/b.o');
    kernel.forget('f');
    kernel.load(next, { '.text': TEXT + 6n });
    expect(matchUnit(next, kernel).kind).toBe('match');
  });
});

describe('constants', () => {
  const record: ObjectRecord = {
    sections: {
      '.text': {
        bytes: [0x48, 0x8d, 0x05, 0, 0, 0, 0, 0xc3],
        relocations: [[3, 'PC32', '.rodata', -4]],
      },
      '.rodata': {
        bytes: [1, 2, 3, 4, 5, 6, 7, 8, ...zeroes(8)],
        flags: 2,
        alignment: 8,
        relocations: [[8, '64', 'printk', 0]],
      },
    },
    symbols: {
      f: { section: '.text', type: 'func', size: 8 },
      limits: { section: '.rodata', type: 'object', size: 16 },
    },
  };

  it('are the same as in the unit, and tell where they refer to', () => {
    expect(load(record).match()).toBe('match');
  });

  it.each<readonly [string, number, readonly number[], RegExp]>([
    ['another number', 2, [9], /^limits\+0x2: 09 04/],
    ['a pointer to something else', 8, [0x44], /^printk: /],
  ])('%s does not match', (_, offset, bytes, expected) => {
    const { kernel, match } = load(record);
    const [limits] = kernel.named('limits');
    kernel.write((limits?.address ?? 0n) + BigInt(offset), bytes);
    expect(match()).toMatch(expected);
  });

  it('what may be written is not compared', () => {
    const { '.rodata': constants, ...text } = record.sections;
    const writable: ObjectRecord = {
      ...record,
      sections: { ...text, '.rodata': { ...constants, flags: 3 } },
    };
    const { kernel, match } = load(writable);
    kernel.write(kernel.named('limits')[0]?.address ?? 0n, [99]);
    expect(match()).toBe('match');
  });
});

describe('exported symbols', () => {
  const record: ObjectRecord = {
    sections: {
      '.text': { bytes: [0xc3] },
      '___ksymtab+f': { bytes: zeroes(4), flags: 2, relocations: [[0, 'PC32', 'f', 0]] },
    },
    symbols: {
      f: { section: '.text', type: 'func', size: 1, binding: 'global' },
      __ksymtab_f: { section: '___ksymtab+f', type: 'object', size: 4 },
    },
  };

  it('are exported from where they are', () => {
    const { kernel, match } = load(record);
    expect(match()).toBe('match');
    kernel.write(kernel.named('__ksymtab_f')[0]?.address ?? 0n, [0x55]);
    expect(match()).toMatch(/^f: |^\.text: /);
  });

  it('are exported at all', () => {
    const { kernel, match } = load(record);
    kernel.forget('__ksymtab_f');
    expect(match()).toBe('f: not exported');
  });
});
