/**
 * Relocating a module's sections, as the kernel's loader does (__apply_relocate_add() in arch/x86/kernel/module.c).
 *
 * In the psABI's notation: S the value of the symbol, A the addend, P the address of the place. A place must hold zero
 * before, as the loader demands; a value must fit its field, which the loader checks for the absolute ones only:
 * code that was linked with a value cut short cannot be what was meant.
 */
import { FormatError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import {
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_NONE,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  relocationName,
} from '../../elf/constants.ts';
import type { ElfSymbol, ObjectFile, Relocation, Section } from '../../elf/model.ts';
import type { Address } from '../address.ts';

/** The value of a symbol, S. */
export type SymbolValue = (symbol: ElfSymbol) => Address;

/**
 * Relocates a copy of a section's contents in place: `bytes`, which lie at `address`.
 * Throws FormatError `malformed_object` for a relocation that the kernel would not apply, or that overflows.
 */
export function relocateSection(
  object: ObjectFile,
  section: Section,
  bytes: Uint8Array,
  address: Address,
  valueOf: SymbolValue,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const relocation of section.relocations) {
    const symbol = object.symbols[relocation.symbol];
    const fail = (message: string): never => {
      const name = symbol?.name === '' ? 'a section' : symbol?.name;
      throw new FormatError(
        'malformed_object',
        `${object.path}: ${section.name}+${hex(relocation.offset)}: ${relocationName(relocation.type)} against ${name}: ${message}`,
        { details: { file: object.path, section: section.name, offset: relocation.offset } },
      );
    };
    if (relocation.type === R_X86_64_NONE) continue;
    if (symbol === undefined) return fail('there is no such symbol');
    const value = valueOf(symbol) + BigInt(relocation.addend);
    apply(view, relocation, value, address + BigInt(relocation.offset), fail);
  }
}

function apply(
  view: DataView,
  { type, offset }: Relocation,
  value: bigint,
  place: bigint,
  fail: (message: string) => never,
): void {
  const isPlain = type === R_X86_64_64 || type === R_X86_64_32 || type === R_X86_64_32S;
  const field = isPlain ? value : value - place;
  switch (type) {
    case R_X86_64_64:
    case R_X86_64_PC64:
      if (view.getBigUint64(offset, true) !== 0n) fail('the place is not zero');
      view.setBigUint64(offset, BigInt.asUintN(64, field), true);
      return;
    case R_X86_64_32:
    case R_X86_64_32S:
    case R_X86_64_PC32:
    case R_X86_64_PLT32: {
      if (view.getUint32(offset, true) !== 0) fail('the place is not zero');
      const whole = BigInt.asIntN(64, field);
      const fits =
        type === R_X86_64_32
          ? BigInt.asUintN(32, field) === BigInt.asUintN(64, field)
          : BigInt.asIntN(32, field) === whole;
      if (!fits) fail(`overflows (${hex(whole)})`);
      view.setUint32(offset, Number(BigInt.asUintN(32, field)), true);
      return;
    }
    default:
      fail('the module loader does not know it');
  }
}
