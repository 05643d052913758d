import { describe, expect, it } from 'vitest';
import { buildObject } from '../../../test/support/elf-builder.ts';
import { placesIn, rewrittenPlaces } from './rewritten-places.ts';

const bytes = (hex: string): number[] => [...Buffer.from(hex.replaceAll(' ', ''), 'hex')];
const zeroes = (count: number): number[] => Array.from({ length: count }, () => 0);

/** A function `f` of these bytes and a table section about it. */
function objectWith(
  text: string,
  table: string,
  contents: readonly number[],
  relocations: readonly (readonly [number, string, string, number?])[],
  textRelocations: readonly (readonly [number, string, string, number?])[] = [],
): ReturnType<typeof buildObject> {
  return buildObject({
    sections: {
      '.text.f': { bytes: bytes(text), relocations: textRelocations },
      [table]: { bytes: contents, relocations },
    },
    symbols: { f: { section: '.text.f', type: 'func', size: bytes(text).length } },
  });
}

const retpolineSite = (text: string, at: number, thunk: string): ReturnType<typeof buildObject> =>
  objectWith(
    text,
    '.retpoline_sites',
    zeroes(4),
    [[0, 'PC32', '.text.f', 0]],
    [[at, 'PLT32', `__x86_indirect_thunk_${thunk}`, -4]],
  );

const jumpLabel = (text: string, addend: number): ReturnType<typeof buildObject> =>
  objectWith(text, '__jump_table', zeroes(16), [
    [0, 'PC32', '.text.f', 0],
    [4, 'PC32', '.text.f', 2],
    [8, 'PC64', 'key', addend],
  ]);

describe('rewrittenPlaces', () => {
  it('gives fentry, return and lock places their fixed lengths', () => {
    const fentry = objectWith('e8 00 00 00 00 c3', '__mcount_loc', zeroes(8), [[0, '64', '.text.f', 0]]);
    expect(rewrittenPlaces(fentry)).toMatchObject([{ kind: 'fentry', offset: 0, length: 5 }]);
    const returns = objectWith('90 e9 00 00 00 00 cc', '.return_sites', zeroes(4), [
      [0, 'PC32', '.text.f', 1],
    ]);
    expect(rewrittenPlaces(returns)).toMatchObject([{ kind: 'return', offset: 1, length: 5 }]);
    const lock = objectWith('f0 ff 00', '.smp_locks', zeroes(4), [[0, 'PC32', '.text.f', 0]]);
    expect(rewrittenPlaces(lock)).toMatchObject([{ kind: 'smp-lock', offset: 0, length: 1 }]);
  });

  it('resolves an owner given by function symbol like one given by section', () => {
    const object = objectWith('90 90 f0 ff 00', '.smp_locks', zeroes(8), [
      [0, 'PC32', 'f', 2],
      [4, 'PC32', '.text.f', 2],
    ]);
    const places = rewrittenPlaces(object);
    expect(places.map((place) => [place.section, place.offset])).toEqual([
      [places[0]?.section, 2],
      [places[0]?.section, 2],
    ]);
  });

  it('reads the register, form and length of a retpoline site', () => {
    expect(rewrittenPlaces(retpolineSite('e8 00 00 00 00', 1, 'rax'))).toMatchObject([
      { kind: 'retpoline', length: 5, form: 'call', register: 0, condition: undefined },
    ]);
    expect(rewrittenPlaces(retpolineSite('2e e9 00 00 00 00', 2, 'r11'))).toMatchObject([
      { length: 6, form: 'jmp', register: 11 },
    ]);
    expect(rewrittenPlaces(retpolineSite('0f 85 00 00 00 00', 2, 'rdi'))).toMatchObject([
      { length: 6, form: 'jcc', register: 7, condition: 5 },
    ]);
    expect(() => rewrittenPlaces(retpolineSite('e8 00 00 00 00', 1, 'array'))).toThrow(
      /\.retpoline_sites: entry 0: .*goes to '__x86_indirect_thunk_array'/,
    );
  });

  it('gives alternatives of one place in table order, each with its own replacement', () => {
    const object = buildObject({
      sections: {
        '.text': { bytes: bytes('e8 00 00 00 00 c3') },
        '.altinstructions': {
          bytes: [...zeroes(8), 0x2c, 0x81, 5, 5, ...zeroes(8), 0x03, 0x00, 5, 0],
          relocations: [
            [0, 'PC32', '.text', 0],
            [4, 'PC32', '.altinstr_replacement', 3],
            [12, 'PC32', '.text', 0],
            [16, 'PC32', '.altinstr_replacement', 8],
          ],
        },
        '.altinstr_replacement': {
          bytes: bytes('0f 01 ca e8 00 00 00 00'),
          relocations: [[4, 'PLT32', 'other', -4]],
        },
      },
    });
    expect(rewrittenPlaces(object)).toMatchObject([
      {
        kind: 'alternative',
        length: 5,
        feature: 0x12c,
        negated: true,
        replacement: {
          bytes: Uint8Array.from(bytes('e8 00 00 00 00')),
          relocations: [{ offset: 1, addend: -4 }],
        },
      },
      { feature: 3, negated: false, replacement: { bytes: new Uint8Array(), relocations: [] } },
    ]);
  });

  it('reads jump labels: length from the instruction, flags off the key', () => {
    const long = rewrittenPlaces(jumpLabel('0f 1f 44 00 00 c3', 8 + 3));
    expect(long).toMatchObject([
      { kind: 'jump-label', length: 5, branch: true, key: { addend: 8 }, target: { offset: 2 }, entry: 0 },
    ]);
    expect(rewrittenPlaces(jumpLabel('eb 00 c3', 2))).toMatchObject([
      { length: 2, branch: false, key: { addend: 0 } },
    ]);
    expect(rewrittenPlaces(jumpLabel('66 90 c3', 0))).toMatchObject([{ length: 2 }]);
    expect(() => rewrittenPlaces(jumpLabel('c3 90 90 90 90', 0))).toThrow(
      /neither jump nor nop at .*\.text\.f\+0x0, found c3/,
    );
  });

  it('reads static calls and the trampolines of the keys that the unit defines', () => {
    const object = buildObject({
      sections: {
        '.text.f': { bytes: bytes('e9 00 00 00 00'), relocations: [[1, 'PLT32', '__SCT__x', -4]] },
        '.static_call_sites': {
          bytes: zeroes(8),
          relocations: [
            [0, 'PC32', '.text.f', 0],
            [4, 'PC32', '__SCK__x', 1],
          ],
        },
        '.static_call.text': { bytes: [...zeroes(8), ...bytes('e9 00 00 00 00 0f b9 cc')], flags: 6 },
      },
      symbols: {
        __SCT__x: { section: '.static_call.text', value: 8, type: 'func', size: 8, binding: 'global' },
      },
    });
    const places = rewrittenPlaces(object);
    expect(places).toMatchObject([
      { kind: 'static-call', length: 5, form: 'jmp', tail: true },
      { kind: 'static-call-trampoline', offset: 8, length: 5 },
    ]);
    const [call] = places;
    expect(call?.kind === 'static-call' && object.symbols[call.key]?.name).toBe('__SCK__x');
  });

  it('reads type and length of a paravirt call', () => {
    const object = objectWith(
      'ff 14 25 00 00 00 00',
      '.parainstructions',
      [...zeroes(8), 42, 7, ...zeroes(6)],
      [[0, '64', '.text.f', 0]],
    );
    expect(rewrittenPlaces(object)).toMatchObject([{ kind: 'paravirt', type: 42, length: 7 }]);
  });

  it('refuses a table of another layout, and a place outside its section', () => {
    const odd = objectWith('90', '.altinstructions', zeroes(14), []);
    expect(() => rewrittenPlaces(odd)).toThrow(/size 0xe is not a multiple of the entry size 12/);
    const outside = objectWith('90 90', '__mcount_loc', zeroes(8), [[0, '64', '.text.f', 0]]);
    expect(() => rewrittenPlaces(outside)).toThrow(/fentry place of 5 bytes lies outside/);
    const ownerless = objectWith('90', '.smp_locks', zeroes(4), [[0, 'PC32', 'elsewhere', 0]]);
    expect(() => rewrittenPlaces(ownerless)).toThrow(/entry 0: names no code of this object/);
  });

  it('gives the places of one section', () => {
    const object = buildObject({
      sections: {
        '.text.a': { bytes: bytes('f0 90') },
        '.text.b': { bytes: bytes('f0 90') },
        '.smp_locks': {
          bytes: zeroes(8),
          relocations: [
            [0, 'PC32', '.text.b', 0],
            [4, 'PC32', '.text.a', 0],
          ],
        },
      },
    });
    const places = rewrittenPlaces(object);
    const index = object.sections.find((section) => section.name === '.text.b')?.index;
    expect(places).toHaveLength(2);
    expect(index !== undefined && placesIn(places, index)).toMatchObject([{ section: index }]);
  });
});
