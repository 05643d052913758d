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
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  relocationName,
} from '../elf/constants.ts';
import type { Relocation } from '../elf/model.ts';
import { type Address, toAddress } from '../kernel/address.ts';

/** Bytes of the field; FormatError for a type that kernel objects do not have. */
export function fieldSize(relocation: Relocation, path: string): 4 | 8 {
  switch (relocation.type) {
    case R_X86_64_64:
    case R_X86_64_PC64:
      return 8;
    case R_X86_64_32:
    case R_X86_64_32S:
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
      return 4;
    default:
      throw new FormatError(
        'malformed_object',
        `${path}: relocation ${relocationName(relocation.type)} is not used by kernel objects`,
      );
  }
}

export function isPcRelative(relocation: Relocation): boolean {
  return (
    relocation.type === R_X86_64_PC32 ||
    relocation.type === R_X86_64_PLT32 ||
    relocation.type === R_X86_64_PC64
  );
}

/**
 * S, from the field's bytes at `offset` of `bytes`, whose run address is `place`.
 */
export function symbolValueFrom(
  relocation: Relocation,
  bytes: Uint8Array,
  offset: number,
  place: Address,
): Address {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
  const field =
    relocation.type === R_X86_64_64 || relocation.type === R_X86_64_PC64
      ? view.getBigInt64(0, true)
      : relocation.type === R_X86_64_32
        ? BigInt(view.getUint32(0, true))
        : BigInt(view.getInt32(0, true));
  const base = isPcRelative(relocation) ? place : 0n;
  return toAddress(field + base - BigInt(relocation.addend));
}
