import { array, assert, constantFrom, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { align } from './align.ts';

const pairs = (left: string, right: string): string =>
  align(left.split(''), right.split(''))
    .map(([i, j]) => `${i}${j}`)
    .join(' ');

describe('align', () => {
  it('pairs what is common, in order', () => {
    expect(pairs('abc', 'abc')).toBe('00 11 22');
    expect(pairs('abcd', 'axcd')).toBe('00 22 33');
    expect(pairs('abab', 'bab')).toBe('10 21 32');
    expect(pairs('', 'abc')).toBe('');
  });

  it('is ascending on both sides, pairs equal tokens only, and is as long as any common subsequence', () => {
    const word = array(constantFrom('a', 'b', 'c'), { maxLength: 12 });
    const longest = (a: readonly string[], b: readonly string[]): number => {
      const [x, ...restA] = a;
      const [y, ...restB] = b;
      if (x === undefined || y === undefined) return 0;
      return x === y ? 1 + longest(restA, restB) : Math.max(longest(restA, b), longest(a, restB));
    };
    assert(
      property(word, word, (left, right) => {
        const found = align(left, right);
        expect(found.every(([i, j]) => left[i] === right[j])).toBe(true);
        expect(
          found.every(
            ([i, j], at) => at === 0 || (i > (found[at - 1]?.[0] ?? i) && j > (found[at - 1]?.[1] ?? j)),
          ),
        ).toBe(true);
        expect(found.length).toBe(longest(left, right));
      }),
    );
  });
});
