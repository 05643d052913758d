import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord, type SectionRecord } from '../../test/support/elf-builder.ts';
import { hexToBytes } from '../../test/support/hex-table.ts';
import { hexBytes } from '../diagnostics/hex.ts';
import type { ObjectFile } from '../elf/model.ts';
import { splitFunctions } from './assembly-split.ts';

const state = (value: number): number[] => [value, 0, 0, 0, 5, 0];

/**
 *   0 one:    jne two; call three; ret
 *   8         filling
 *  10 two:    je one; js one; jmp .Ltail; nop
 *  17 .Ltail: ret
 *  20 three:  lea two(%rip),%rax; nop
 *  28 four:   ret
 */
const text: SectionRecord = {
  bytes: hexToBytes(
    '75 0e e8 19 00 00 00 c3 0f 1f 84 00 00 00 00 00' +
      ' 74 ee 78 ec eb 01 90 c3 0f 1f 84 00 00 00 00 00' +
      ' 48 8d 05 e9 ff ff ff 90 c3',
  ),
  alignment: 16,
};

const symbols: ObjectRecord['symbols'] = {
  one: { section: '.text', type: 'func', size: 8, binding: 'global' },
  alias: { section: '.text', type: 'func', size: 8, binding: 'weak' },
  two: { section: '.text', value: 16, type: 'func', size: 7 },
  three: { section: '.text', value: 32, type: 'func', size: 8 },
  four: { section: '.text', value: 40, type: 'func', size: 1 },
};

const record: ObjectRecord = {
  sections: {
    '.text': text,
    '.rodata': { bytes: Array.from({ length: 16 }, () => 0), relocations: [[8, '64', '.text', 0x17]] },
    // States change at one+2, three+7 only.
    '.orc_unwind': { bytes: [...state(8), ...state(16), ...state(24), 0, 0, 0, 0, 0, 0], entrySize: 6 },
    '.orc_unwind_ip': {
      bytes: Array.from({ length: 16 }, () => 0),
      entrySize: 4,
      relocations: [
        [0, 'PC32', '.text', 0],
        [4, 'PC32', '.text', 2],
        [8, 'PC32', '.text', 0x27],
        [12, 'PC32', '.text', 0x29],
      ],
    },
  },
  symbols,
};

function sectionOf(object: ObjectFile, name: string): ObjectFile['sections'][number] {
  const found = object.sections.find((section) => section.name === name);
  if (found === undefined) throw new Error(`no section ${name}`);
  return found;
}

/** Offset, and section and addend of what a section's relocations name. */
function relocationsOf(object: ObjectFile, name: string): readonly string[] {
  return sectionOf(object, name).relocations.map(({ offset, symbol, addend }) => {
    const to = object.symbols[symbol];
    const place = typeof to?.place === 'number' ? object.sections[to.place]?.name : to?.name;
    return `${offset} ${place} ${addend}`;
  });
}

/** Section, offset in it, and first byte of the state. */
function statesOf(object: ObjectFile): readonly string[] {
  const { data } = sectionOf(object, '.orc_unwind');
  return relocationsOf(object, '.orc_unwind_ip').map((line, index) => {
    const [, place, addend] = line.split(' ');
    return `${place} ${addend} ${data[6 * index]}`;
  });
}

describe('splitFunctions', () => {
  const { object, obstacles } = splitFunctions(buildObject(record));

  it('gives each function a section, with the code behind it and without what fills', () => {
    expect(object.sections.map(({ name }) => name).filter((name) => name.startsWith('.text'))).toEqual([
      '.text.one',
      '.text.two',
      '.text.three',
      '.text.four',
    ]);
    expect(hexBytes(sectionOf(object, '.text.four').data)).toBe('c3');
    expect([...obstacles]).toEqual([
      ['one', []],
      ['two', []],
      ['three', []],
      ['four', []],
    ]);
  });

  it('sends a short branch over a jump that has room for a relocation', () => {
    // jne +6, to the jump behind ret; the call's distance is a relocation.
    expect(hexBytes(sectionOf(object, '.text.one').data)).toBe('75 06 e8 00 00 00 00 c3 e9 00 00 00 00');
    expect(relocationsOf(object, '.text.one')).toEqual(['3 .text.three -4', '9 .text.two 12']);
  });

  it('puts the jump of a branch backwards before the function, which begins where it is aligned', () => {
    // Both branches to one take the same jump; that to the tail stays what it is.
    expect(hexBytes(sectionOf(object, '.text.two').data)).toBe(
      `${'cc '.repeat(11)}e9 00 00 00 00 74 f9 78 f7 eb 01 90 c3`,
    );
    expect(relocationsOf(object, '.text.two')).toEqual(['12 .text.one -4']);
    const two = object.symbols.find(({ name }) => name === 'two');
    expect([two?.value, two?.size]).toEqual([16n, 7]);
  });

  it('relocates an operand that names another function, and leads on into the next one', () => {
    expect(hexBytes(sectionOf(object, '.text.three').data)).toBe('48 8d 05 00 00 00 00 90 e9 00 00 00 00');
    expect(relocationsOf(object, '.text.three')).toEqual(['3 .text.two 12', '9 .text.four -4']);
  });

  it('moves what refers to the code, and all names of a function', () => {
    expect(relocationsOf(object, '.rodata')).toEqual(['8 .text.two 23']);
    const names = object.symbols.filter(({ place }) => place === sectionOf(object, '.text.one').index);
    expect(names.map(({ name }) => name).sort()).toEqual(['', 'alias', 'one']);
  });

  it('repeats the unwind state that is in force, for added jumps that of their branch', () => {
    expect(statesOf(object)).toEqual([
      '.text.one 0 8',
      '.text.one 2 16',
      '.text.one 8 8',
      '.text.one 13 0',
      '.text.two 0 0',
      '.text.two 11 16',
      '.text.two 16 16',
      '.text.two 24 0',
      '.text.three 0 16',
      '.text.three 7 24',
      '.text.three 13 0',
      '.text.four 0 24',
      '.text.four 1 0',
    ]);
  });

  it('takes unwind tables that do not fit together for what they are', () => {
    const odd = buildObject({
      ...record,
      sections: { ...record.sections, '.orc_unwind': { bytes: state(8), entrySize: 6 } },
    });
    expect(() => splitFunctions(odd)).toThrow(
      'test.o: 4 entries in .orc_unwind_ip for 6 bytes of .orc_unwind',
    );
  });

  it('says where a short branch cannot reach the jump', () => {
    //   0 first: ret;  1 second: nop, ret;  3 long: nops; je first, over 126 bytes; jne second, over 127; ret
    const nops = Array.from({ length: 121 }, () => 0x90);
    const { obstacles: found } = splitFunctions(
      buildObject({
        sections: { '.text': { bytes: [0xc3, 0x90, 0xc3, ...nops, 0x74, 0x82, 0x75, 0x81, 0xc3] } },
        symbols: {
          first: { section: '.text', type: 'func', size: 1 },
          second: { section: '.text', value: 1, type: 'func', size: 2 },
          long: { section: '.text', value: 3, type: 'func', size: 126 },
        },
      }),
    );
    expect(found.get('long')).toEqual([
      'has a short branch at +0x79 that cannot be made to reach',
      'has a short branch at +0x7b that cannot be made to reach',
    ]);
    expect(found.get('first')).toEqual([]);
  });
});
