/** A generator of numbers that are the same for the same seed (mulberry32), in [0, limit). */
export function numbersFrom(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * limit);
  };
}

/** Values that have broken readers: limits of fields, signs, sizes that wrap around when something is added. */
const EXTREMES: readonly bigint[] = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x1_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_8100_0000n,
  0xffff_ffff_c000_0000n,
  0xffff_ffff_ffff_fff8n,
  0xffff_ffff_ffff_ffffn,
];

/** A damaged copy: bits, bytes and whole fields changed, pieces moved, the end cut off. */
export function mutate(bytes: Uint8Array, random: (limit: number) => number): Uint8Array {
  const damaged = Buffer.from(bytes);
  const count = 1 + random(4);
  for (let i = 0; i < count; i++) {
    const at = random(damaged.length);
    switch (random(6)) {
      case 0:
        damaged[at] = (damaged[at] ?? 0) ^ (1 << random(8));
        break;
      case 1:
        damaged[at] = random(256);
        break;
      case 2:
      case 3: {
        const size = [1, 2, 4, 8][random(4)] ?? 1;
        const start = at - (at % size);
        const field = Buffer.alloc(8);
        const extreme = EXTREMES[random(EXTREMES.length)] ?? 0n;
        field.writeBigUInt64LE(BigInt.asUintN(64, extreme + BigInt(random(3)) - 1n));
        damaged.set(field.subarray(0, Math.min(size, damaged.length - start)), start);
        break;
      }
      case 4:
        damaged.copyWithin(random(damaged.length), at, at + 1 + random(256));
        break;
      default:
        // Rarely, since most readers look at the end first.
        if (random(8) === 0) return damaged.subarray(0, at);
        damaged.subarray(at, at + 1 + random(32)).fill(random(256));
    }
  }
  return damaged;
}
