/** The one printer of addresses, offsets and sizes: `0x1f`, `-0x8`. */
export function hex(value: bigint | number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** Bytes as lower-case pairs with a space between: `0f 1f 44 00 00`. */
export function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
