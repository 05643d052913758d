import { describe, expect, it } from 'vitest';
import { FormatError } from '../diagnostics/error.ts';
import { Cursor } from './cursor.ts';
import { sleb, slebExact, uleb, ulebExact } from './leb128.ts';

const at = (bytes: readonly number[]): Cursor => new Cursor(Uint8Array.from(bytes), 'x.o: .debug_info');

/** `count` bytes that say nothing but that another follows. */
const padding = (count: number): readonly number[] => Array.from({ length: count }, () => 0x80);

// Of DWARF 5, section 7.6, and the limits of 64 bits.
describe('numbers of variable length', () => {
  it.each([
    [[0x02], 2],
    [[0x7f], 127],
    [[0x80, 0x01], 128],
    [[0xb9, 0x64], 12_857],
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], Number.MAX_SAFE_INTEGER],
  ])('%j is %d', (bytes, value) => {
    expect(uleb(at(bytes), 'value')).toBe(value);
    expect(ulebExact(at(bytes), 'value')).toBe(value);
  });

  it.each([
    [[0x02], 2],
    [[0x7e], -2],
    [[0xff, 0x00], 127],
    [[0x81, 0x7f], -127],
    [[0x80, 0x7f], -128],
  ])('%j with a sign is %d', (bytes, value) => {
    expect(sleb(at(bytes), 'value')).toBe(value);
    expect(slebExact(at(bytes), 'value')).toBe(value);
  });

  it.each([
    [[...padding(9), 0x7f], -(1n << 63n)],
    [[0x81, ...padding(8), 0x7f], -(1n << 63n) + 1n],
    [[...padding(7), 0x10], 1n << 53n],
  ])('%j is exact beyond 2^53', (bytes, value) => {
    expect(slebExact(at(bytes), 'value')).toBe(value);
    expect(() => sleb(at(bytes), 'value')).toThrow(FormatError);
  });

  it('ends with its last byte, and has no more than eleven', () => {
    const cursor = at([0x80, 0x01, 0x55]);
    expect([uleb(cursor, 'value'), cursor.position]).toEqual([128, 2]);
    for (const read of [uleb, sleb, ulebExact, slebExact]) {
      expect(read(at([...padding(10), 0x00]), 'value')).toBe(0);
      expect(() => read(at([...padding(11), 0x00]), 'value')).toThrow(/value has more than 11 bytes/);
      expect(() => read(at([0x80]), 'value')).toThrow(FormatError);
    }
  });
});
