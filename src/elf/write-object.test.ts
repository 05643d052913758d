import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildImage } from '../../test/support/elf-builder.ts';
import { imageOfObject } from '../../test/support/image-of-object.ts';
import { SHF_GROUP, SHF_LINK_ORDER, SHT_NOBITS, SHT_PROGBITS, SHT_RELA } from './constants.ts';
import type { ObjectImage, RelocationImage, SectionImage, SymbolImage } from './image.ts';
import { readObject } from './read-object.ts';
import { writeObject } from './write-object.ts';

const empty: SectionImage = {
  name: '.text',
  type: SHT_PROGBITS,
  flags: 6,
  alignment: 16,
  entrySize: 0,
  contents: new Uint8Array(8),
  relocations: [],
};
const symbol: SymbolImage = {
  name: 'a',
  value: 0n,
  size: 0,
  binding: 0,
  type: 0,
  visibility: 0,
  place: 'absolute',
};

/** An image that reads back as it is: local symbols first, relocations sorted. */
const images: fc.Arbitrary<ObjectImage> = fc.nat(6).chain((sectionCount) =>
  fc.array(symbolOf(sectionCount), { maxLength: 8 }).chain((unsorted) => {
    const symbols = unsorted.toSorted((a, b) => Number(a.binding !== 0) - Number(b.binding !== 0));
    return fc
      .array(sectionOf(symbols.length), { minLength: sectionCount, maxLength: sectionCount })
      .map((sections) => ({ sections, symbols }));
  }),
);

function symbolOf(sections: number): fc.Arbitrary<SymbolImage> {
  const special: readonly SymbolImage['place'][] = ['absolute', 'undefined'];
  return fc.record({
    name: fc.string({ unit: 'grapheme', maxLength: 12 }).map((name) => name.replaceAll('\0', '')),
    value: fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
    size: fc.maxSafeNat(),
    binding: fc.constantFrom(0, 1, 2),
    type: fc.nat(6),
    visibility: fc.nat(3),
    place: fc.constantFrom(...special, ...Array.from({ length: sections }, (_, i) => i)),
  });
}

function sectionOf(symbols: number): fc.Arbitrary<SectionImage> {
  const relocation: fc.Arbitrary<RelocationImage> = fc.record({
    offset: fc.nat(32),
    type: fc.constantFrom(0, 1, 2, 4, 10, 11, 24),
    symbol: fc.nat(Math.max(0, symbols - 1)),
    addend: fc.maxSafeInteger(),
  });
  const common = {
    name: fc.string({ maxLength: 10 }).map((name) => name.replaceAll('\0', '')),
    flags: fc.constantFrom(0, 2, 3, 6, 0x32),
    alignment: fc.constantFrom(0, 1, 2, 8, 64, 8192),
    entrySize: fc.nat(16),
  };
  const bits = fc.record({
    ...common,
    type: fc.constantFrom(SHT_PROGBITS, 7, 14),
    contents: fc.uint8Array({ minLength: 40, maxLength: 60 }),
    relocations: fc
      .array(relocation, { maxLength: symbols === 0 ? 0 : 6 })
      .map((list) => list.toSorted((a, b) => a.offset - b.offset)),
  });
  const noBits = fc.record({
    ...common,
    type: fc.constant(SHT_NOBITS),
    contents: fc.maxSafeNat(),
    relocations: fc.constant([]),
  });
  return fc.oneof(bits, noBits);
}

describe('writeObject', () => {
  it('is undone by readObject', () => {
    fc.assert(
      fc.property(images, (image) => {
        expect(imageOfObject(readObject(writeObject(image), 'x.o'))).toEqual(image);
      }),
      { numRuns: 500 },
    );
  });

  it('gives the same bytes for the same image', () => {
    fc.assert(
      fc.property(images, (image) => {
        expect(writeObject(image)).toEqual(writeObject(structuredClone(image)));
      }),
      { numRuns: 50 },
    );
  });

  it('puts local symbols first and renumbers relocations', () => {
    const image: ObjectImage = {
      symbols: [
        { ...symbol, name: 'global', binding: 1, place: 'undefined' },
        { ...symbol, name: 'local' },
        { ...symbol, name: 'weak', binding: 2, place: 0 },
        { ...symbol, name: 'local2' },
      ],
      sections: [
        {
          ...empty,
          relocations: [
            { offset: 4, type: 2, symbol: 0, addend: -4 },
            { offset: 0, type: 2, symbol: 3, addend: -4 },
          ],
        },
      ],
    };
    const object = readObject(writeObject(image), 'x.o');
    expect(object.symbols.map(({ name }) => name)).toEqual(['', 'local', 'local2', 'global', 'weak']);
    expect(object.symbols[4]?.place).toBe(1);
    expect(object.sections[1]?.relocations.map((each) => each.symbol)).toEqual([2, 3]);
    const symtab = object.sections.find(({ name }) => name === '.symtab');
    expect(symtab?.info).toBe(3);
  });

  it('keeps all 64 bits of an absolute symbol without a name', () => {
    const value = 0xffff_ffff_8123_4567n;
    const object = readObject(
      writeObject({ sections: [], symbols: [{ ...symbol, name: '', value }] }),
      'x.o',
    );
    expect(object.symbols[1]).toMatchObject({ name: '', value, place: 'absolute' });
    // st_name is 0, not an empty string somewhere else.
    const symtab = object.sections.find(({ name }) => name === '.symtab');
    expect(symtab?.data.subarray(24, 28)).toEqual(new Uint8Array(4));
  });

  it('gives each section its relocations in a section that names it', () => {
    const object = readObject(
      writeObject(
        buildImage({
          sections: {
            '.data': { bytes: new Uint8Array(8), relocations: [[0, '64', '.text']] },
            '.text': { bytes: [0xe8, 0, 0, 0, 0], relocations: [[1, 'PLT32', 'f', -4]] },
          },
        }),
      ),
      'x.o',
    );
    const relas = object.sections.filter(({ type }) => type === SHT_RELA);
    expect(relas).toMatchObject([
      { name: '.rela.data', info: 1, link: 5, flags: 0x40, entrySize: 24, alignment: 8 },
      { name: '.rela.text', info: 2, link: 5, flags: 0x40, entrySize: 24, alignment: 8 },
    ]);
  });

  it('makes a member of a group an ordinary section, and links an ordered one', () => {
    const image: ObjectImage = {
      symbols: [],
      sections: [
        { ...empty, name: '.sites', flags: 2 | SHF_LINK_ORDER, orderedBy: 1 },
        { ...empty, flags: 6 | SHF_GROUP },
      ],
    };
    const { sections } = readObject(writeObject(image), 'x.o');
    expect(sections[1]).toMatchObject({ name: '.sites', link: 2 });
    expect(sections[2]).toMatchObject({ name: '.text', flags: 6, link: 0 });
  });

  it.each<readonly [string, ObjectImage, string]>([
    ['alignment', one({ alignment: 3 }), 'section .text has alignment 0x3, expected a power of two'],
    ['generated type', one({ type: SHT_RELA }), 'section .text has type 4, which only the writer makes'],
    ['NOBITS with bytes', one({ type: SHT_NOBITS }), 'section .text of type 8 has contents of type object'],
    ['bytes without bytes', one({ contents: 8 }), 'section .text of type 1 has contents of type number'],
    ['order', one({ orderedBy: 4 }), 'section .text is ordered by section 4 of 1'],
    [
      'relocation symbol',
      one({ relocations: [{ offset: 2, type: 2, symbol: 7, addend: 0 }] }),
      '.text+0x2: relocation uses symbol 7 of 0',
    ],
    ['symbol section', { sections: [], symbols: [{ ...symbol, place: 3 }] }, 'symbol a is in section 3 of 0'],
    ['symbol value', { sections: [], symbols: [{ ...symbol, value: -1n }] }, '-0x1 does not fit 64 bits'],
    ['symbol type', { sections: [], symbols: [{ ...symbol, type: 0x1000 }] }, '4096 is not within 0..0xff'],
    [
      'name with a NUL',
      { sections: [], symbols: [{ ...symbol, name: 'a\0b' }] },
      'the name "a\\u0000b" contains a NUL',
    ],
    [
      'too many sections',
      { sections: Array.from({ length: 0xff00 }, () => empty), symbols: [] },
      'found 65284 sections, expected less than 0xff00',
    ],
  ])('takes a wrong image for a bug: %s', (_name, image, message) => {
    expect(() => writeObject(image)).toThrow(
      expect.objectContaining({ name: 'InternalError', message: expect.stringContaining(message) }),
    );
  });
});

function one(changes: Partial<SectionImage>): ObjectImage {
  return { sections: [{ ...empty, ...changes }], symbols: [] };
}
