import { describe, expect, it } from 'vitest';
import { buildObject } from '../../test/support/elf-builder.ts';
import { relocationFieldSize, relocationName } from './constants.ts';
import { sectionIndex } from './indices.ts';
import {
  indexObject,
  sectionNamed,
  sectionOf,
  stringAt,
  symbolCovering,
  symbolsInSection,
} from './symbols.ts';

const object = buildObject({
  sections: {
    '.text': { bytes: new Uint8Array(64), relocations: [[60, 'PC32', '.data', -4]] },
    '.data': { bytes: [0x61, 0x62, 0, 0xe9, 0, 0x63] },
  },
  symbols: {
    label: { section: '.text', value: 20 },
    outer: { section: '.text', value: 8, size: 24, type: 'func', binding: 'global' },
    part: { section: '.text', value: 16, size: 8, type: 'func' },
    alias: { section: '.text', value: 8, size: 24 },
    end: { section: '.text', value: 40 },
    printk: {},
    cr4: { value: 0xffff_ffff_8000_0000n },
  },
});
const index = indexObject(object);
const text = sectionIndex(1);

describe('symbolCovering', () => {
  it.each([
    [0, undefined],
    [7, undefined],
    [8, 'outer'],
    [15, 'outer'],
    [16, 'part'],
    [20, 'part'],
    [23, 'part'],
    [24, 'outer'],
    [31, 'outer'],
    [32, undefined],
    [40, 'end'],
    [41, undefined],
  ])('offset %i: %s', (offset, name) => {
    expect(symbolCovering(index, text, offset)?.name).toBe(name);
  });

  it('knows nothing of a section without symbols', () => {
    expect(symbolCovering(index, sectionIndex(2), 0)).toBeUndefined();
  });
});

describe('indexObject', () => {
  it('lists symbols by offset, functions by name, section symbols by section', () => {
    expect(symbolsInSection(index, text).map(({ name }) => name)).toEqual([
      'alias',
      'outer',
      'part',
      'label',
      'end',
    ]);
    expect([...index.functions.keys()].sort()).toEqual(['outer', 'part']);
    expect(index.symbols.get('printk')).toMatchObject([{ place: 'undefined' }]);
    expect([...index.sectionSymbols.keys()]).toEqual([2]);
    expect(sectionNamed(index, '.data')?.index).toBe(2);
    expect(sectionNamed(index, '.none')).toBeUndefined();
  });
});

describe('sectionOf', () => {
  it('is undefined for a symbol without a section', () => {
    expect(sectionNameOf('outer')).toBe('.text');
    expect(sectionNameOf('printk')).toBeUndefined();
    expect(sectionNameOf('cr4')).toBeUndefined();
  });
});

describe('stringAt', () => {
  it.each([
    [0, 'ab'],
    [1, 'b'],
    [2, ''],
    [3, 'é'],
    [5, undefined],
    [6, undefined],
    [-1, undefined],
  ])('offset %i', (offset, expected) => {
    const data = sectionNamed(index, '.data');
    expect(data === undefined ? 'no section' : stringAt(data, offset)).toBe(expected);
  });
});

describe('relocations', () => {
  it('have names and field sizes', () => {
    expect(relocationName(4)).toBe('R_X86_64_PLT32');
    expect(relocationName(99)).toBe('R_X86_64_(99)');
    expect([0, 1, 2, 12, 14, 24].map(relocationFieldSize)).toEqual([0, 8, 4, 2, 1, 8]);
    expect(() => relocationFieldSize(99)).toThrow('relocation type 99 is unknown');
  });
});

function sectionNameOf(name: string): string | undefined {
  const symbol = index.symbols.get(name)?.[0];
  return symbol === undefined ? 'no symbol' : sectionOf(object, symbol)?.name;
}
