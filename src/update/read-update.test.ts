import { describe, expect, it } from 'vitest';
import { fuzzUpdateReader } from '../../test/fuzz/update-reader.ts';

describe('the readers of updates, keys and policies', () => {
  it('damaged ones are read or refused, never slow, and never taken for what was signed', async () => {
    const { inputs, accepted, refused, findings, slowest } = await fuzzUpdateReader(3000, {
      seed: 20_080_423,
    });
    expect(findings).toEqual([]);
    expect(inputs).toBe(3000);
    expect(slowest).toBeLessThan(1000);
    // Damage that is never noticed, or always at once, tests nothing.
    for (const target of Object.keys(refused)) expect(refused[target], target).toBeGreaterThan(200);
    for (const target of ['manifest', 'objects', 'signature', 'policy', 'revoked', 'records']) {
      expect(accepted[target], target).toBeGreaterThan(1);
    }
  });
});
