import { describe, expect, it } from 'vitest';
import { toAddress } from '../kernel/address.ts';
import type { IdentifiedModule } from '../kernel/kernel.ts';
import { isUnchanged } from './pin-owners.ts';

const llc: IdentifiedModule = {
  name: 'llc',
  base: toAddress(0xffffffffc0400000n),
  size: 16384,
  live: true,
  buildId: '0a',
};

describe('a module that owns what an update is bound to', () => {
  it('is unchanged if it is the same each time', () => {
    expect(isUnchanged('llc', [[llc], [llc], [{ ...llc }]])).toBe(true);
  });

  it.each<readonly [string, readonly IdentifiedModule[]]>([
    ['lies elsewhere', [{ ...llc, base: toAddress(0xffffffffc0500000n) }]],
    ['is larger', [{ ...llc, size: 20480 }]],
    ['is another build in the same place', [{ ...llc, buildId: '0b' }]],
    ['was not there', [{ ...llc, name: 'other' }]],
  ])('is another one if it %s at any time', (_, other) => {
    expect(isUnchanged('llc', [other, [llc], [llc]])).toBe(false);
    expect(isUnchanged('llc', [[llc], other, [llc]])).toBe(false);
    expect(isUnchanged('llc', [[llc], [llc], other])).toBe(false);
  });
});
