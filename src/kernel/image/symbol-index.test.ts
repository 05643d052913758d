import { describe, expect, it } from 'vitest';
import { toAddress } from '../address.ts';
import { SymbolIndex } from './symbol-index.ts';

const rows = [
  ['b', 't', 0x3000n],
  ['show', 't', 0x1000n],
  ['alias', 'W', 0x1000n],
  ['show', 'T', 0x2000n],
  ['constructor', 'd', 0x900000n],
] as const;
const index = new SymbolIndex(
  {
    names: rows.map(([name]) => name),
    types: rows.map(([, type]) => type).join(''),
    addresses: BigUint64Array.from(rows.map(([, , address]) => address)),
  },
  'veth',
);
const nearest = (at: bigint): string | undefined => index.nearest(toAddress(at))?.name;

describe('SymbolIndex', () => {
  it('gives all symbols of a name, in their order', () => {
    expect(index.named('show')).toEqual([
      { name: 'show', type: 't', address: 0x1000n, module: 'veth' },
      { name: 'show', type: 'T', address: 0x2000n, module: 'veth' },
    ]);
    expect(index.named('constructor').length).toBe(1);
    expect(index.named('toString')).toEqual([]);
  });

  it('the nearest is the first one at the last address at or below', () => {
    expect(nearest(0x1000n)).toBe('show');
    expect(nearest(0x1fffn)).toBe('show');
    expect(nearest(0x3001n)).toBe('b');
    expect(nearest(0xfffn)).toBeUndefined();
    expect(nearest(0x103000n)).toBe('b');
    expect(nearest(0x103001n)).toBeUndefined();
    expect(nearest(0x900000n)).toBe('constructor');
  });

  it('lists them all', () => {
    expect([...index.all()].map(({ name }) => name)).toEqual(['b', 'show', 'alias', 'show', 'constructor']);
    expect(index.size).toBe(5);
  });
});
