import { describe, expect, it } from 'vitest';
import { Aim } from './counted-updates.ts';

/** Tries until `replaced` of the changes is what is wanted; the changes of each try. */
function tries(wanted: number, replaced: (changes: number) => number): readonly number[] {
  const aim = new Aim(wanted);
  const all: number[] = [];
  while (all.length < 20) {
    all.push(aim.changes);
    const got = replaced(aim.changes);
    if (got === wanted) return all;
    expect(aim.missed(got)).toBe(false);
  }
  throw new Error(`not reached: ${all.join(', ')}`);
}

describe('the number of functions to change', () => {
  it('is the wanted one where each is replaced', () => {
    expect(tries(100, (changes) => changes)).toEqual([100]);
  });

  it('grows by the share that is inlined', () => {
    expect(tries(1000, (changes) => Math.floor(changes * 0.65))).toEqual([1000, 1538, 1540, 1539]);
  });

  it('shrinks where callers come on top', () => {
    expect(tries(10, (changes) => changes * 2)).toEqual([10, 5]);
  });

  it('leaves a function alone that adds two where one is missing', () => {
    const aim = new Aim(10);
    expect(aim.missed(9)).toBe(false);
    expect(aim.changes).toBe(11);
    expect(aim.missed(11)).toBe(true);
    expect(aim.changes).toBe(11);
    // Another function in its place.
    expect(aim.missed(9)).toBe(false);
    expect(aim.changes).toBe(12);
  });

  it('is looked for anew where functions are refused', () => {
    const aim = new Aim(10);
    aim.missed(12);
    expect(aim.changes).toBe(8);
    aim.forget();
    expect(aim.missed(4)).toBe(false);
    expect(aim.changes).toBe(20);
  });
});
