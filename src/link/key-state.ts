import { type Address } from '../kernel/address.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { KeyReader } from './frozen-branches.ts';
import { uniqueAddress } from './kernel-symbols.ts';

/** Reads keys of jump labels in live memory; bounds are the kernel's own (vmlinux.lds.h, RO_AFTER_INIT_DATA). */
export function keyState(kernel: Kernel, user: string): Pick<KeyReader, 'isReadOnly' | 'isEnabled'> {
  const start = uniqueAddress(kernel, user, '__start_ro_after_init');
  const end = uniqueAddress(kernel, user, '__end_ro_after_init');
  return {
    isReadOnly: (key: Address) => key >= start && key < end,
    isEnabled: (key: Address) => {
      const bytes = kernel.read(key, 4);
      return new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true) > 0;
    },
  };
}
