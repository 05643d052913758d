/**
 * Does a relocated field reach its target, wherever the loader puts the module?
 *
 * The module loader of 6.1 has its own check compiled out (arch/x86/kernel/module.c, `#if 0`): a value
 * that does not fit is truncated without a word. So we prove it here, for every place that a module can
 * be loaded at.
 */
import { InternalError, RefusedError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import {
  isLoadableRelocation,
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC64,
  relocationFieldSize,
  relocationName,
} from '../elf/constants.ts';
import { type Address, toAddress } from '../kernel/address.ts';

/** MODULES_VADDR and MODULES_END of a kernel with KASLR (arch/x86/include/asm/pgtable_64_types.h). */
export const MODULES_VADDR = 0xffffffffc0000000n;
const MODULES_END = 0xffffffffff000000n;

/** The kernel's image lies between __START_KERNEL_map and MODULES_VADDR. */
export const KERNEL_START = 0xffffffff80000000n;
/** More than all per-CPU data of the image takes, which kallsyms lists from 0 on, and well within reach. */
const PERCPU_END = 0x100_0000n;

/** The lowest and highest addresses that a symbol of the kernel proper may have. */
export const kernelBounds: readonly Address[] = [KERNEL_START, MODULES_VADDR - 1n, 0n, PERCPU_END - 1n].map(
  toAddress,
);

/** Whether the address lies within `kernelBounds`: then what reaches those reaches it, too. */
export function isKernelAddress(address: Address): boolean {
  return (address >= KERNEL_START && address < MODULES_VADDR) || address < PERCPU_END;
}

function fitsSigned32(value: bigint): boolean {
  return BigInt.asIntN(32, value) === BigInt.asIntN(64, value);
}

/** Bytes of the field; RefusedError for a type that the module loader does not know. */
export function fieldBytes(type: number): number {
  if (isLoadableRelocation(type)) return relocationFieldSize(type);
  throw new RefusedError('refused', `${relocationName(type)}: the module loader does not know it`);
}

/** Throws InternalError naming the field if S + A, or S + A - P for some possible P, does not fit. */
export function checkReach(where: string, type: number, value: Address, addend: number): void {
  const sum = value + BigInt(addend);
  const fits =
    type === R_X86_64_64 || type === R_X86_64_PC64
      ? true
      : type === R_X86_64_32
        ? BigInt.asUintN(64, sum) <= 0xffffffffn
        : type === R_X86_64_32S
          ? fitsSigned32(sum)
          : fitsSigned32(sum - MODULES_VADDR) && fitsSigned32(sum - MODULES_END);
  if (!fits) {
    throw new InternalError(
      'unexpected',
      `${where}: ${relocationName(type)} does not reach ${hex(BigInt.asUintN(64, sum))}`,
    );
  }
}
