import { describe, expect, it } from 'vitest';
import { buildImage } from '../../test/support/elf-builder.ts';
import { FormatError } from '../diagnostics/error.ts';
import { bindSymbols, undefinedNames } from './bind-symbols.ts';
import { readObject } from './read-object.ts';
import { writeObject } from './write-object.ts';

const object = writeObject(
  buildImage({
    sections: {
      '.text': {
        bytes: [0x90, 0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0],
        relocations: [
          [2, 'PLT32', 'printk', -4],
          [7, 'PLT32', 'kfree', -4],
        ],
      },
    },
    symbols: { entry: { section: '.text', value: 1, type: 'func', size: 10 } },
  }),
);

const addresses = new Map([
  ['printk', 0xffffffff81e00000n],
  ['kfree', 0xffffffff81e00100n],
]);

function addressOf(name: string): bigint {
  const found = addresses.get(name);
  if (found === undefined) throw new Error(name);
  return found;
}

describe('bindSymbols', () => {
  it('makes undefined symbols absolute and nameless, and leaves all else as it was', () => {
    const { bytes } = bindSymbols(object, 'core', addressOf);
    const bound = readObject(bytes, 'core');
    const original = readObject(object, 'core');
    const targets = bound.sections
      .find(({ name }) => name === '.text')
      ?.relocations.map(({ symbol }) => bound.symbols[symbol]);
    expect(targets).toMatchObject([
      { name: '', place: 'absolute', value: 0xffffffff81e00000n },
      { name: '', place: 'absolute', value: 0xffffffff81e00100n },
    ]);
    expect(bound.sections.map(({ name, data }) => [name, data.length])).toEqual(
      original.sections.map(({ name, data }) => [name, data.length]),
    );
    expect(bound.symbols.filter(({ place }) => typeof place === 'number')).toEqual(
      original.symbols.filter(({ place }) => typeof place === 'number'),
    );
  });

  it('does not touch the bytes it was given', () => {
    const before = Uint8Array.from(object);
    bindSymbols(object, 'core', addressOf);
    expect(object).toEqual(before);
  });

  it('tells where a symbol is that the object defines, and of no other', () => {
    const { placeOf } = bindSymbols(object, 'core', addressOf);
    expect(placeOf('entry')).toEqual({ section: '.text', offset: 1n });
    expect(placeOf('printk')).toBeUndefined();
  });

  it('lists the names it will ask for', () => {
    expect(undefinedNames(object, 'core').toSorted()).toEqual(['kfree', 'printk']);
  });

  it('refuses what is no object', () => {
    expect(() => bindSymbols(object.subarray(0, 100), 'core', addressOf)).toThrow(FormatError);
  });
});
