import { describe, expect, it } from 'vitest';
import { addressAt, toAddress } from './address.ts';

describe('addresses', () => {
  it('wrap around at 2^64, in both directions', () => {
    expect(toAddress(-1n)).toBe(0xffffffffffffffffn);
    expect(toAddress(1n << 64n)).toBe(0n);
    expect(addressAt(toAddress(0xfffffffffffffffen), 3)).toBe(1n);
    expect(addressAt(toAddress(2n), -3)).toBe(0xffffffffffffffffn);
    expect(addressAt(toAddress(0xffffffff81000000n), -0x81000000n)).toBe(0xffffffff00000000n);
  });
});
