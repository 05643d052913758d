/**
 * Addresses in a running kernel: 64 bits, so never a `number`.
 */
import { InternalError } from '../diagnostics/error.ts';

declare const address: unique symbol;

/** A virtual address, or a per-CPU offset (which kallsyms lists as an address too). */
export type Address = bigint & { readonly [address]: true };

function isAddress(value: bigint): value is Address {
  return value >= 0n && value < 1n << 64n;
}

/** Takes any integer modulo 2^64. */
export function toAddress(value: bigint): Address {
  const wrapped = BigInt.asUintN(64, value);
  if (isAddress(wrapped)) return wrapped;
  throw new InternalError('unexpected', `${value} does not wrap to an address`);
}

/** `base + offset`, modulo 2^64. */
export function addressAt(base: Address, offset: number | bigint): Address {
  return toAddress(base + BigInt(offset));
}
