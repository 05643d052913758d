import { expect, it } from 'vitest';
import { FormatError } from '../diagnostics/error.ts';
import { Cursor } from './cursor.ts';

it('refuses to read before the start and beyond the end, and stays where it is', () => {
  for (const position of [-1, 4]) {
    const cursor = new Cursor(Uint8Array.of(1, 2, 3, 4), 'x.o', position);
    expect(() => cursor.u8('flag')).toThrow(FormatError);
    expect(() => cursor.u8('flag')).toThrow(/^x\.o: at .*: flag needs 1 bytes/);
    expect(cursor.position).toBe(position);
  }
  expect(new Cursor(Uint8Array.of(1, 2, 3, 4), 'x.o', 3).u8('flag')).toBe(4);
});
