import { describe, expect, it } from 'vitest';
import { leastSquares } from './least-squares.ts';

describe('least squares', () => {
  it('find the coefficients that made the values', () => {
    const rows = [
      [1, 1, 100],
      [1, 10, 300],
      [1, 100, 90],
      [1, 1000, 5000],
    ];
    const values = rows.map(([one = 0, two = 0, three = 0]) => 5000 * one + 250 * two + 0.5 * three);
    const found = leastSquares(rows, values);
    [5000, 250, 0.5].forEach((expected, i) => expect(found[i]).toBeCloseTo(expected, 4));
  });

  it('are not made up where two columns go together', () => {
    expect(() =>
      leastSquares(
        [
          [1, 2],
          [2, 4],
          [3, 6],
        ],
        [1, 2, 3],
      ),
    ).toThrow(/not decided/);
  });
});
