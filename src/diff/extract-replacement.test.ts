import { describe, expect, it } from 'vitest';
import { buildObject } from '../../test/support/elf-builder.ts';
import type { ObjectFile } from '../elf/model.ts';
import { compareUnit, diffCompared, diffUnit } from './diff-unit.ts';
import { extractReplacement } from './extract-replacement.ts';

const nops = (count: number): number[] => Array.from({ length: count }, () => 0x90);

const state = (value: number): number[] => [value, 0, 0, 0, 5, 0];

/** `a` and `b` in one section, whose unwind state changes at +0 and +4 only, before `b` begins. */
function sharedSection(lastOfB: number): ObjectFile {
  return buildObject({
    sections: {
      '.sched.text': { bytes: [...nops(15), 0xc3, ...nops(15), lastOfB], flags: 6, alignment: 16 },
      '.orc_unwind': { bytes: [...state(8), ...state(16), 0, 0, 0, 0, 0, 0], flags: 2, entrySize: 6 },
      '.orc_unwind_ip': {
        bytes: nops(12).map(() => 0),
        flags: 2,
        entrySize: 4,
        relocations: [
          [0, 'PC32', '.sched.text', 0],
          [4, 'PC32', '.sched.text', 4],
          [8, 'PC32', '.sched.text', 32],
        ],
      },
    },
    symbols: {
      a: { section: '.sched.text', value: 0, type: 'func', size: 16, binding: 'global' },
      b: { section: '.sched.text', value: 16, type: 'func', size: 16, binding: 'global' },
    },
  });
}

describe('extractReplacement: unwind entries', () => {
  it('starts a function with the state that was in force before it, and ends it with a terminator', () => {
    const pre = sharedSection(0xc3);
    const post = sharedSection(0xcb);
    const compared = compareUnit(pre, post);
    const change = diffCompared(compared);
    expect(change.replaced.map((each) => each.name)).toEqual(['b']);
    const { object } = extractReplacement(compared.comparison, change);
    const section = (name: string): (typeof object.sections)[number] | undefined =>
      object.sections.find((each) => each.name === name);
    const ip = section('.orc_unwind_ip');
    expect(ip?.relocations.map((each) => [each.offset, each.addend])).toEqual([
      [0, 0],
      [4, 16],
    ]);
    expect(ip?.relocations.map((each) => object.symbols[each.symbol]?.place)).toEqual([0, 0]);
    expect(section('.orc_unwind')?.contents).toEqual(Uint8Array.from([16, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]));
    expect(section('.text.b')?.contents).toEqual(Uint8Array.from([...nops(15), 0xcb]));
  });

  it('refuses unwind tables that do not fit together', () => {
    const odd = buildObject({
      sections: {
        '.text.f': { bytes: nops(4) },
        '.orc_unwind': { bytes: nops(6), flags: 2 },
        '.orc_unwind_ip': { bytes: nops(8), flags: 2, relocations: [[0, 'PC32', '.text.f', 0]] },
      },
      symbols: { f: { section: '.text.f', type: 'func', size: 4 } },
    });
    expect(() => diffUnit(odd, odd)).toThrow(/2 entries in \.orc_unwind_ip for 6 bytes of \.orc_unwind/);
  });
});
