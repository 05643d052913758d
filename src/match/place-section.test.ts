/** Where a section of a unit lies, if its bytes alone do not tell. */
import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import type { FakeKernel } from '../../test/support/fake-kernel.ts';
import { bytesOf32 } from '../../test/support/kernel-code.ts';
import { smallKernel } from '../../test/support/small-kernel.ts';
import { matchUnit } from './match-unit.ts';

const TEXT = 0xffffffff81234000n;

describe('a section that is in the kernel twice', () => {
  const record: ObjectRecord = {
    sections: {
      '.text': {
        bytes: [0xe8, 0, 0, 0, 0, 0xc3],
        relocations: [[1, 'PLT32', '.text.unlikely', -4]],
      },
      '.text.unlikely': { bytes: [0x31, 0xc0, 0xc3] },
    },
    symbols: {
      user: { section: '.text', type: 'func', size: 6, binding: 'global' },
      weight: { section: '.text.unlikely', type: 'func', size: 3 },
    },
  };

  it('has the place that the code refers to', () => {
    const kernel = smallKernel();
    const object = buildObject(record);
    const cold = kernel.load(object).base('.text.unlikely');
    kernel.define('weight', kernel.map(0xffffffff81f70000n, [0x31, 0xc0, 0xc3]), 't');
    const result = matchUnit(object, kernel);
    if (result.kind !== 'match') throw new Error(JSON.stringify(result.mismatch));
    expect([...result.bases.values()]).toContain(cold);
  });

  const unlikely = 0xffffffff81f70000n;
  /** Two units, with the copy of one behind the cold part of the other, and the places of a third unit's copy. */
  function unreferenced(): { readonly kernel: FakeKernel; readonly places: () => readonly bigint[] } {
    const kernel = smallKernel();
    const object = buildObject({
      sections: { '.text': { bytes: [0x31, 0xc9, 0xc3] }, '.text.unlikely': { bytes: [0x31, 0xc0, 0xc3] } },
      symbols: {
        user: { section: '.text', type: 'func', size: 3, binding: 'global' },
        weight: { section: '.text.unlikely', type: 'func', size: 3 },
      },
    });
    kernel.load(object, { '.text': TEXT + 0x100n, '.text.unlikely': unlikely + 0x20n });
    kernel.define('weight', kernel.map(unlikely + 0x50n, [0x31, 0xc0, 0xc3]), 't');
    const places = (): readonly bigint[] => {
      const result = matchUnit(object, kernel);
      if (result.kind !== 'match') throw new Error(JSON.stringify(result.mismatch));
      return [...result.text.values()].map(({ base }) => base);
    };
    return { kernel, places };
  }

  it('has the place that the order of units gives it, where nothing refers to it', () => {
    const { kernel, places } = unreferenced();
    for (const [name, hot, cold] of [
      ['before', TEXT, unlikely],
      ['behind', TEXT + 0x200n, unlikely + 0x40n],
    ] as const) {
      kernel.define(name, kernel.map(hot, [0xe9, ...bytesOf32(cold - hot - 5n)]), 't');
      kernel.define(`${name}_next`, hot + 5n, 't');
      kernel.define(`${name}.cold`, cold, 't');
    }
    expect(places()).toEqual([TEXT + 0x100n, unlikely + 0x20n]);
  });

  it('has none where nothing tells', () => {
    const { places } = unreferenced();
    expect(places()).toEqual([TEXT + 0x100n]);
  });
});

describe('a section with nothing but a weak function that a strong one elsewhere overrides', () => {
  const record: ObjectRecord = {
    sections: {
      '.text': { bytes: [0x31, 0xc0, 0xc3] },
      '.text.clock': { bytes: [0x31, 0xdb, 0xc3], flags: 6 },
    },
    symbols: {
      user: { section: '.text', type: 'func', size: 3, binding: 'global' },
      clock: { section: '.text.clock', type: 'func', size: 3, binding: 'weak' },
    },
  };

  it('is left out, and its function has no place', () => {
    const kernel = smallKernel();
    kernel.define('clock', kernel.map(0xffffffff81f70000n, [0x0f, 0x0b, 0xc3]), 'T');
    const object = buildObject(record);
    kernel.load(object);
    const result = matchUnit(object, kernel);
    if (result.kind !== 'match') throw new Error(JSON.stringify(result.mismatch));
    expect([...result.text.keys()].map((index) => object.sections[index]?.name)).toEqual(['.text']);
    expect(result.compared).toBe(3);
  });

  it('is a mismatch where the kernel has the weak one, and it is another', () => {
    const kernel = smallKernel();
    const object = buildObject(record);
    const loaded = kernel.load(object);
    expect(matchUnit(object, kernel).kind).toBe('match');
    kernel.write(loaded.at('clock'), [0x33]);
    expect(matchUnit(object, kernel)).toMatchObject({
      kind: 'mismatch',
      mismatch: { kind: 'code', name: 'clock', offset: 0 },
    });
  });
});
