import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import { InternalError, RefusedError } from '../diagnostics/error.ts';
import { SHT_NOBITS } from '../elf/constants.ts';
import type { ObjectFile, Section } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { toAddress } from '../kernel/address.ts';
import { linkModule } from './link-module.ts';
import type { LinkObject } from './link-object.ts';

const PRINTK = toAddress(0xffffffff81e00000n);

function part(record: ObjectRecord, resolve: LinkObject['resolve'] = () => PRINTK): LinkObject {
  return { object: buildObject(record, 'part.o'), isModuleObject: false, resolve };
}

function link(...objects: readonly LinkObject[]): ObjectFile {
  return readObject(linkModule({ objects, functionSuffix: '.x' }).bytes, 'module.ko');
}

function named(object: ObjectFile, name: string): Section {
  const found = object.sections.find((each) => each.name === name);
  if (found === undefined) throw new Error(name);
  return found;
}

/** What a relocation says: section or value of its symbol, plus the symbol's value and the addend. */
function meaning(object: ObjectFile, section: string): readonly string[] {
  return named(object, section).relocations.map(({ offset, symbol, addend }) => {
    const target = object.symbols[symbol];
    const place = typeof target?.place === 'number' ? object.sections[target.place]?.name : target?.place;
    return `${offset}: ${place}+${((target?.value ?? 0n) + BigInt(addend)).toString(16)}`;
  });
}

const one: ObjectRecord = {
  sections: {
    '.text.f': {
      bytes: [0x48, 0xc7, 0xc0, 9, 9, 9, 9, 0xc3],
      relocations: [[3, '32S', '.data.a', 4]],
      alignment: 16,
    },
    '.data.a': { bytes: [1, 2, 3, 4, 5, 6, 7, 8, 9], alignment: 8 },
  },
  symbols: { f: { section: '.text.f', type: 'func', size: 8 } },
};

describe('linkModule', () => {
  it('moves what refers to a section by as much as the section was moved', () => {
    const object = link(part(one), part(one));
    expect(meaning(object, '.text')).toEqual(['3: .data+4', '19: .data+14']);
    expect([...named(object, '.data').data]).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    expect(named(object, '.text').alignment).toBe(16);
  });

  it('leaves the records of pr_debug() where the module loader looks for them', () => {
    const record: ObjectRecord = {
      sections: { __dyndbg: { bytes: Array<number>(56).fill(7), alignment: 8 } },
    };
    expect(named(link(part(one), part(record), part(record)), '__dyndbg').data).toHaveLength(112);
  });

  it('has a place for an object of no bytes, as a lock_class_key is without lockdep', () => {
    const record: ObjectRecord = {
      sections: {
        '.text.f': { bytes: [0x48, 0xc7, 0xc0, 9, 9, 9, 9, 0xc3], relocations: [[3, '32S', '__key.0', 0]] },
        '.bss.__key.0': { size: 0 },
        '.data': { bytes: [] },
      },
      symbols: { '__key.0': { section: '.bss.__key.0', type: 'object', size: 0 } },
    };
    const object = link(part(record));
    expect(meaning(object, '.text')).toEqual(['3: .bss+0']);
    expect(object.sections.some(({ name }) => name === '.data')).toBe(false);
  });

  it('puts an INT3 wherever no function is', () => {
    const text = named(link(part(one), part(one)), '.text').data;
    expect([...text.subarray(8, 16)]).toEqual([0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc]);
  });

  it('keeps zeroed data that no contents are mixed with out of the file', () => {
    const bss = { sections: { '.bss.a': { size: 4096, alignment: 8 } } };
    const object = link(part(one), part(bss), part(bss));
    expect(named(object, '.bss')).toMatchObject({ type: SHT_NOBITS, size: 8192 });
  });

  it('binds a symbol of another object, and one that is at an address', () => {
    const caller: ObjectRecord = {
      sections: {
        '.text.g': {
          bytes: [0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0],
          relocations: [
            [1, 'PLT32', 'f', -4],
            [6, 'PLT32', 'printk', -4],
          ],
        },
      },
    };
    const provider = part(one);
    const symbol = provider.object.symbols.find(({ name }) => name === 'f');
    if (symbol === undefined) throw new Error('no f');
    const object = link(
      part(caller, (name) => (name === 'f' ? { object: 1, symbol: symbol.index } : PRINTK)),
      provider,
    );
    expect(meaning(object, '.text').slice(0, 2)).toEqual(['1: .text+c', '6: absolute+ffffffff81dffffc']);
  });

  it('refuses what does not reach, naming the field', () => {
    const far = part(
      { sections: { '.text.g': { bytes: [0xe8, 0, 0, 0, 0], relocations: [[1, 'PLT32', 'far', -4]] } } },
      () => toAddress(0xffff888000000000n),
    );
    expect(() => link(far)).toThrow(InternalError);
    expect(() => link(far)).toThrow(/^part\.o: \.text\.g\+0x1: R_X86_64_PLT32 does not reach/);
  });

  it('refuses a relocation that the loader does not know', () => {
    const odd = part({
      sections: { '.text.g': { bytes: [0, 0, 0, 0], relocations: [[0, 'GOTPCREL', 'printk', -4]] } },
    });
    expect(() => link(odd)).toThrow(RefusedError);
  });

  it('refuses a reference to what stays out', () => {
    const dropped = part({
      sections: {
        '.text.g': { bytes: [0, 0, 0, 0], relocations: [[0, '32S', '__ksymtab', 0]] },
        __ksymtab: { bytes: [0, 0, 0, 0] },
      },
    });
    expect(() => link(dropped)).toThrow(/part\.o: __ksymtab: referred to, but left out/);
  });

  it('refuses a section whose meaning it does not know', () => {
    expect(() => link(part({ sections: { '.mystery': { bytes: [1] } } }))).toThrow(
      /part\.o: \.mystery: a section that this version does not know/,
    );
  });

  it('says where a symbol lies', () => {
    const { placeOf } = linkModule({ objects: [part(one), part(one)], functionSuffix: '' });
    expect(placeOf('f')).toEqual({ section: '.text', offset: 0n });
    expect(placeOf('g')).toBeUndefined();
  });
});
