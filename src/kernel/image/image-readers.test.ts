import { describe, expect, it } from 'vitest';
import { fuzzImageReaders } from '../../../test/fuzz/image-readers.ts';

describe('the readers of kernels at rest', () => {
  it('damaged kernels, tables and modules are read or refused, and never slow', async () => {
    const { inputs, accepted, refused, findings, slowest } = await fuzzImageReaders(3000, {
      seed: 20_090_401,
      targets: ['kernel', 'kallsyms', 'module', 'boot', 'lz4', 'kcore'],
    });
    expect(findings).toEqual([]);
    expect(inputs).toBe(3000);
    expect(slowest).toBeLessThan(1000);
    // Damage that is never noticed, or always at once, tests nothing.
    for (const target of Object.keys(refused)) {
      expect(refused[target], target).toBeGreaterThan(50);
      expect(accepted[target], target).toBeGreaterThan(5);
    }
  });
});
