import { describe, expect, it } from 'vitest';
import { buildObject, type SectionRecord } from '../../test/support/elf-builder.ts';
import { hexToBytes } from '../../test/support/hex-table.ts';
import { hexBytes } from '../diagnostics/hex.ts';
import type { ObjectFile, Section } from '../elf/model.ts';
import { toAddress } from '../kernel/address.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';
import { freezeBranches, frozenKeys, type KeyReader } from './frozen-branches.ts';

/** Sites of `nop5`, `jmp rel8`, `jmp rel32`; the keys: locked, locked + 8 (laid out for true), free. */
const sections: Readonly<Record<string, SectionRecord>> = {
  '.text.f': {
    bytes: hexToBytes('0f 1f 44 00 00 31 c0 eb 05 31 c9 e9 00 00 00 00 c3 c3'),
    relocations: [[12, 'PC32', '.text.f', 0xc]],
  },
  __jump_table: {
    bytes: Array.from({ length: 48 }, () => 0),
    relocations: [
      [0, 'PC32', '.text.f', 0],
      [4, 'PC32', '.text.f', 0x11],
      [8, 'PC64', 'locked', 0],
      [16, 'PC32', '.text.f', 7],
      [20, 'PC32', '.text.f', 0],
      [24, 'PC64', 'free', 0],
      [32, 'PC32', '.text.f', 11],
      [36, 'PC32', '.text.f', 0],
      [40, 'PC64', 'locked', 8 + 1],
    ],
  },
};

const LOCKED = 0xffffffff82a00000n;

function makeObject(): ObjectFile {
  return buildObject({ sections, symbols: { f: { section: '.text.f', type: 'func', size: 18 } } });
}

function keys(object: ObjectFile, enabled: boolean): KeyReader {
  return {
    addressOf: ({ symbol, addend }) => {
      const name = object.symbols[symbol]?.name;
      return name === 'locked' ? toAddress(LOCKED + BigInt(addend)) : toAddress(0xffffffff82c00000n);
    },
    isReadOnly: (key) => key >= LOCKED && key < LOCKED + 16n,
    isEnabled: () => enabled,
  };
}

function named(object: ObjectFile, name: string): Section {
  const section = object.sections.find((each) => each.name === name);
  if (section === undefined) throw new Error(name);
  return section;
}

describe('frozenKeys', () => {
  it('names the keys, each once, and none that can be switched', () => {
    const object = makeObject();
    expect(frozenKeys(object, keys(object, true))).toEqual(['locked']);
    expect(frozenKeys(object, { ...keys(object, true), isReadOnly: () => false })).toEqual([]);
  });
});

describe('freezeBranches', () => {
  it.each([
    // On: the first jumps to 0x11; the second is not ours to touch; the third, laid out for true, does not jump.
    [true, 'e9 0c 00 00 00 31 c0 eb 05 31 c9 0f 1f 44 00 00 c3 c3'],
    // Off: the other way round; from 0x10 back to 0 is -0x10.
    [false, '0f 1f 44 00 00 31 c0 eb 05 31 c9 e9 f0 ff ff ff c3 c3'],
  ])('writes branches of read-only keys as they are: enabled %s', (enabled, expected) => {
    const object = makeObject();
    const frozen = freezeBranches(object, keys(object, enabled));
    const text = named(frozen, '.text.f');
    expect(hexBytes(text.data)).toBe(expected);
    // The jump is written: what would relocate it has to go.
    expect(text.relocations).toEqual([]);
    // The original is left as it was.
    expect(hexBytes(named(object, '.text.f').data)).toBe(
      hexBytes(Uint8Array.from(sections['.text.f']?.bytes ?? [])),
    );
  });

  it('drops their entries and keeps the others whole', () => {
    const object = makeObject();
    const frozen = freezeBranches(object, keys(object, true));
    const table = named(frozen, '__jump_table');
    expect(table.size).toBe(16);
    expect(table.data.length).toBe(16);
    expect(rewrittenPlaces(frozen)).toMatchObject([
      { kind: 'jump-label', offset: 7, length: 2, branch: false, entry: 0, target: { offset: 0 } },
    ]);
    expect(table.relocations.map(({ offset }) => offset)).toEqual([0, 4, 8]);
    const [, , key] = table.relocations;
    expect(key && object.symbols[key.symbol]?.name).toBe('free');
  });

  it('a short jump is written in two bytes', () => {
    const object = makeObject();
    const all: KeyReader = { ...keys(object, true), isReadOnly: () => true };
    expect(hexBytes(named(freezeBranches(object, all), '.text.f').data.subarray(7, 9))).toBe('eb f7');
    const off: KeyReader = { ...all, isEnabled: () => false };
    expect(hexBytes(named(freezeBranches(object, off), '.text.f').data.subarray(7, 9))).toBe('66 90');
    expect(named(freezeBranches(object, all), '__jump_table').size).toBe(0);
  });

  it('leaves an object alone that has no such key, or whose keys are new', () => {
    const object = makeObject();
    const reader = keys(object, true);
    expect(freezeBranches(object, { ...reader, isReadOnly: () => false })).toBe(object);
    expect(freezeBranches(object, { ...reader, addressOf: () => undefined, isReadOnly: () => true })).toBe(
      object,
    );
  });
});
