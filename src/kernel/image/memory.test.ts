import { describe, expect, it } from 'vitest';
import { toAddress } from '../address.ts';
import { Memory } from './memory.ts';

function memory(): Memory {
  const made = new Memory();
  made.add({ address: toAddress(0x2000n), size: 8, data: Uint8Array.of(1, 2, 3, 4) });
  made.add({ address: toAddress(0n), size: 2, data: Uint8Array.of(8, 9) });
  made.add({ address: toAddress(0x2008n), size: 4, data: Buffer.from('ab\0c') });
  return made;
}
const read = (at: bigint, size: number): number[] => [...memory().read(toAddress(at), size)];

describe('Memory', () => {
  it('reads bytes, and zero behind the bytes of a region', () => {
    expect(read(0x2001n, 2)).toEqual([2, 3]);
    expect(read(0x2003n, 4)).toEqual([4, 0, 0, 0]);
    expect(read(0x2006n, 2)).toEqual([0, 0]);
    expect(read(0n, 2)).toEqual([8, 9]);
    expect(read(0x2000n, 0)).toEqual([]);
  });

  it.each([
    ['between regions', 0x1000n, 1],
    ['over the end of a region, even into the next', 0x2006n, 4],
    ['behind the last', 0x200cn, 1],
    ['at the top', 0xffffffffffffffffn, 1],
  ])('has nothing %s', (_, at, size) => {
    expect(() => read(at, size)).toThrow(expect.objectContaining({ code: 'no_match', exitCode: 4 }));
  });

  it('gives copies: what a reader does to them changes nothing', () => {
    const made = memory();
    made.read(toAddress(0x2000n), 4).fill(0xff);
    expect([...made.read(toAddress(0x2000n), 4)]).toEqual([1, 2, 3, 4]);
  });

  it('reads text up to its NUL, and none without', () => {
    const made = memory();
    expect(made.readText(toAddress(0x2008n), 16)).toBe('ab');
    expect(made.readText(toAddress(0x2009n), 16)).toBe('b');
    expect(made.readText(toAddress(0x2008n), 2)).toBeUndefined();
    expect(made.readText(toAddress(0x200bn), 16)).toBeUndefined();
    expect(made.readText(toAddress(0x9000n), 16)).toBeUndefined();
  });

  it('knows where it ends, and where per-CPU offsets do', () => {
    expect(memory().end).toBe(0x200cn);
    expect(memory().endOfFirst).toBe(2n);
    expect(new Memory().endOfFirst).toBeUndefined();
  });

  it('takes no region twice', () => {
    expect(() => memory().add({ address: toAddress(0x2007n), size: 9, data: Buffer.alloc(9) })).toThrow(
      /twice/,
    );
  });
});
