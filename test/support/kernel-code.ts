/**
 * Instructions that the kernel writes into its own text, as bytes.
 */
import type { RetpolinePlace } from '../../src/kernel/tables/rewritten-place.ts';

/** x86_nops of 6.1, by length. */
const nops: readonly (readonly number[])[] = [
  [],
  [0x90],
  [0x66, 0x90],
  [0x0f, 0x1f, 0x00],
  [0x0f, 0x1f, 0x40, 0x00],
  [0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
  [0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/** ret and what fills up the five bytes of a jump. */
export const plainReturn: readonly number[] = [0xc3, 0xcc, 0xcc, 0xcc, 0xcc];

/** add_nops(). */
export function padding(length: number): readonly number[] {
  const count = Math.min(length, 8);
  return length === 0 ? [] : [...(nops[count] ?? []), ...padding(length - count)];
}

/** Little-endian, modulo 2^32. */
export function bytesOf32(value: bigint): readonly number[] {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(Number(BigInt.asIntN(32, value)));
  return [...buffer];
}

/** `e8 rel32` or `e9 rel32` at an address. */
export function branch(opcode: number, at: bigint, target: bigint): readonly number[] {
  return [opcode, ...bytesOf32(target - at - 5n)];
}

/** spectre_v2=retpoline, retpoline,lfence, off; indirect_target_selection=force. */
export type RetpolineForm = 'thunk' | 'lfence' | 'indirect' | 'its';

/**
 * patch_retpoline(); nothing if it leaves the place alone.
 * @param original the bytes at the place
 * @param mapThunk puts a thunk into memory
 */
export function retpolineBytes(
  place: RetpolinePlace,
  at: bigint,
  original: Uint8Array,
  form: RetpolineForm,
  mapThunk: (bytes: readonly number[]) => bigint,
): readonly number[] {
  if (form === 'thunk') return [];
  const rex = place.register >= 8 ? [0x41] : [];
  const low = place.register & 7;
  if (form === 'its') {
    const thunk = mapThunk([...rex, 0xff, 0xe0 + low, 0xcc]);
    const first = place.form === 'jcc' ? [0x0f] : place.length === 6 ? [0x2e] : [];
    const opcode = place.form === 'jcc' ? (original[1] ?? 0) : place.form === 'call' ? 0xe8 : 0xe9;
    return [...first, ...branch(opcode, at + BigInt(first.length), thunk)];
  }
  const bytes = place.form === 'jcc' ? [0x70 + ((place.condition ?? 0) ^ 1), place.length - 2] : [];
  if (form === 'lfence') bytes.push(0x0f, 0xae, 0xe8);
  bytes.push(...rex, 0xff, (place.form === 'call' ? 0xd0 : 0xe0) + low);
  if (bytes.length > place.length) return [];
  if (place.form !== 'call' && bytes.length < place.length) bytes.push(0xcc);
  return [...bytes, ...padding(place.length - bytes.length)];
}
