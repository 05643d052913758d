/** Debug information that says nonsense: a refusal that names the file and the place, or a result; never a hang. */
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../src/diagnostics/error.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { readTypeLayouts } from '../../src/elf/type-layouts.ts';
import { fuzzImageReaders } from '../fuzz/image-readers.ts';
import { openWorkshop } from '../support/compile.ts';

const STRUCTURE = 0x13;
const MEMBER = 0x0d;
const BLOCK = 0x0b;
const POINTER = 0x0f;
const TYPEDEF = 0x16;

/** Abbreviations: code, tag, children, pairs of attribute and form. */
const ABBREVIATIONS = [
  [1, 0x11, 1, 0, 0],
  [2, STRUCTURE, 1, 0x03, 0x08, 0x0b, 0x0b, 0, 0],
  [3, STRUCTURE, 1, 0x0b, 0x0b, 0, 0],
  [4, MEMBER, 0, 0x49, 0x13, 0x38, 0x0b, 0, 0],
  [5, BLOCK, 1, 0, 0],
  [6, TYPEDEF, 0, 0x03, 0x08, 0x49, 0x13, 0, 0],
  [7, POINTER, 0, 0x49, 0x13, 0, 0],
  [8, BLOCK, 0, 0x02, 0x18, 0, 0],
  [0],
].flat();

const HEADER = 12;
/** Where the first entry inside the unit begins. */
const FIRST = HEADER + 1;

const ref = (offset: number): readonly number[] => [offset & 0xff, (offset >> 8) & 0xff, 0, 0];

/** Two members of one type, and the end of the list. */
const members = (type: number): readonly number[] => [4, ...ref(type), 0, 4, ...ref(type), 0, 0];

function objectOf(entries: readonly number[]): ObjectFile {
  using workshop = openWorkshop();
  workshop.compile('x.c', 'int x;', ['-g', '-gdwarf-5']);
  const object = readObject(workshop.read('x.o'), 'x.o');
  const length = HEADER - 4 + entries.length;
  const header = [length & 0xff, (length >> 8) & 0xff, (length >> 16) & 0xff, 0, 5, 0, 1, 8, 0, 0, 0, 0];
  const data = new Map([
    ['.debug_info', Uint8Array.from([...header, ...entries])],
    ['.debug_abbrev', Uint8Array.from(ABBREVIATIONS)],
  ]);
  const sections = object.sections.map((section) => ({
    ...section,
    relocations: data.has(section.name) ? [] : section.relocations,
    data: data.get(section.name) ?? section.data,
  }));
  return { ...object, sections };
}

const read = (entries: readonly number[]): readonly string[] => [
  ...(readTypeLayouts(objectOf(entries), new Map()) ?? new Map<string, never>()).keys(),
];

describe('damaged debug information', () => {
  it('is read where it is sound', () => {
    expect(read([1, 2, 0x61, 0, 8, 4, ...ref(FIRST), 0, 0, 0])).toEqual(['struct a']);
  });

  it('is refused where each of many types has the next twice', () => {
    // `struct a` is as long as the others, which have no name, and lies before them.
    const first = [2, 0x61, 0, 8];
    const size = 2 + 2 * 6 + 1;
    const start = FIRST + first.length + 2 * 6 + 1;
    const nested = Array.from({ length: 40 }, (_, i) => [3, 8, ...members(start + (i + 1) * size)]);
    expect(() => read([1, ...first, ...members(start), ...nested.flat(), 3, 8, 0, 0])).toThrow(
      /x\.o: a type has more than 100000 members/,
    );
  });

  it('is read to an end where types go in circles', () => {
    const typedef = [6, 0x74, 0];
    const size = typedef.length + 4;
    const loop = [...typedef, ...ref(FIRST + size), ...typedef, ...ref(FIRST)];
    const pointer = FIRST + loop.length;
    const struct = [2, 0x61, 0, 8, 4, ...ref(FIRST), 0, 4, ...ref(pointer), 0, 0];
    expect(read([1, ...loop, 7, ...ref(pointer), ...struct, 0])).toEqual(['struct a']);
  });

  it('is refused where blocks are nested without end, and where the end is missing', () => {
    expect(() => read([1, ...Array.from({ length: 100_000 }, () => 5)])).toThrow(/nested more than 500 deep/);
    expect(() => read([1, 5, 5, 0])).toThrow(FormatError);
    expect(() => read([1, 8, 0x7f, 0, 0])).toThrow(/a value has 127 bytes, 2 are left/);
  });

  it('in any other way is refused or read', async () => {
    const { findings, accepted, refused } = await fuzzImageReaders(2000, {
      seed: 20,
      targets: ['types', 'object-types'],
    });
    expect(findings).toEqual([]);
    expect(accepted['types']).toBeGreaterThan(50);
    expect(refused['types']).toBeGreaterThan(50);
  });
});
