import { toAddress } from '../../src/kernel/address.ts';
import type { KernelSymbol } from '../../src/kernel/kernel.ts';

/** Every line of /proc/kallsyms. The program itself never needs them all, and does not make so many records. */
export function* parseKallsyms(text: string): Generator<KernelSymbol> {
  for (const [, digits, type = '', name = '', module] of text.matchAll(
    /^([0-9a-f]+) (\S) (\S+)(?:\t\[(\S+)\])?$/gm,
  )) {
    yield { name, type, address: toAddress(BigInt(`0x${digits}`)), module };
  }
}
