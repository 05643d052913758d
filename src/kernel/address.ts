/**
 * Addresses in a running kernel: 64 bits, so never a `number`.
 */
declare const address: unique symbol;

/** A virtual address, or a per-CPU offset (which kallsyms lists as an address too). */
export type Address = bigint & { readonly [address]: true };

/** Takes any integer modulo 2^64. */
export function toAddress(value: bigint): Address {
  return BigInt.asUintN(64, value) as Address;
}

/** `base + offset`, modulo 2^64. */
export function addressAt(base: Address, offset: number | bigint): Address {
  return toAddress(base + BigInt(offset));
}
