/**
 * Un-relocation: what symbol value would have put these bytes into a relocated field?
 *
 * Notation of the psABI: S symbol value, A addend, P run address of the field. The linker computed
 * field = S + A (absolute) or S + A - P (PC-relative); we read the field and solve for S. Both 32-bit
 * forms are taken modulo 2^64 after sign extension, which also yields per-CPU offsets right: they are
 * small absolute values, reached from kernel text by a PC-relative field that wraps
 * (arch/x86/tools/relocs.c, per-CPU relocations).
 */
import { FormatError } from '../diagnostics/error.ts';
import {
  isLoadableRelocation,
  R_X86_64_32,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  relocationFieldSize,
  relocationName,
} from '../elf/constants.ts';
import type { Relocation } from '../elf/model.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import { int32At } from './int32-at.ts';

/** Bytes of the field; FormatError for a type that kernel objects do not have. */
export function fieldSize(relocation: Relocation, path: string): number {
  if (isLoadableRelocation(relocation.type)) return relocationFieldSize(relocation.type);
  throw new FormatError(
    'malformed_object',
    `${path}: relocation ${relocationName(relocation.type)} is not used by kernel objects`,
  );
}

export function isPcRelative(relocation: Relocation): boolean {
  return (
    relocation.type === R_X86_64_PC32 ||
    relocation.type === R_X86_64_PLT32 ||
    relocation.type === R_X86_64_PC64
  );
}

/**
 * S, from the field's bytes at `offset` of `bytes`; `start` is the run address of `bytes[0]`.
 */
export function symbolValueFrom(
  relocation: Relocation,
  bytes: Uint8Array,
  offset: number,
  start: Address,
): Address {
  const base = isPcRelative(relocation) ? start : 0n;
  // Code has a field every ten bytes: one sum of big integers each, of what small ones have been added before.
  const known = (isPcRelative(relocation) ? offset : 0) - relocation.addend;
  if (relocation.type === R_X86_64_64 || relocation.type === R_X86_64_PC64) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
    return toAddress(base + view.getBigInt64(0, true) + BigInt(known));
  }
  const field = int32At(bytes, offset);
  return toAddress(base + BigInt((relocation.type === R_X86_64_32 ? field >>> 0 : field) + known));
}
