import { describe, expect, it } from 'vitest';
import { toAddress } from '../../src/kernel/address.ts';
import type { KernelSymbol } from '../../src/kernel/kernel.ts';
import { coverageOf, type MatchedRange } from './text-coverage.ts';

const symbol = (name: string, address: bigint, type = 't', module?: string): KernelSymbol => ({
  name,
  address: toAddress(address),
  type,
  module,
});

const range = (start: bigint, end: bigint, directory = 'fs', section = '.text'): MatchedRange => ({
  directory,
  section,
  start,
  end,
});

describe('coverageOf', () => {
  it('finds the function of a unit that nobody compiled', () => {
    const symbols = [symbol('a', 0x100n), symbol('lost', 0x200n), symbol('b', 0x300n)];
    const coverage = coverageOf(symbols, [range(0x100n, 0x180n), range(0x300n, 0x380n)]);
    expect(coverage).toMatchObject({ functions: 3, matched: 2, bytes: 0x280, matchedBytes: 0x100 });
    expect(coverage.holes.map(({ name }) => name)).toEqual(['lost']);
  });

  it('does not take what lies between two directories, or two sections, for a hole', () => {
    const symbols = [symbol('a', 0x100n), symbol('other', 0x200n), symbol('b', 0x300n)];
    expect(coverageOf(symbols, [range(0x100n, 0x180n), range(0x300n, 0x380n, 'mm')]).holes).toEqual([]);
    const unlikely = range(0x300n, 0x380n, 'fs', '.text.unlikely');
    expect(coverageOf(symbols, [range(0x100n, 0x180n), unlikely]).holes).toEqual([]);
  });

  it('counts neither data, nor modules, nor a second name of an address', () => {
    const symbols = [
      symbol('a', 0x100n),
      symbol('alias', 0x100n, 'T'),
      symbol('object', 0x104n, 'd'),
      symbol('module', 0x108n, 't', 'veth'),
    ];
    expect(coverageOf(symbols, [range(0x100n, 0x180n)]).functions).toBe(1);
  });
});
