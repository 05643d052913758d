import { describe, expect, it } from 'vitest';
import { Random } from './random.ts';

function draw(seed: number): readonly number[] {
  const random = new Random(seed);
  return Array.from({ length: 1000 }, () => random.below(10));
}

describe('random numbers of a run', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('are below their limit, and every number comes', () => {
    expect(new Set(draw(1))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });
});
