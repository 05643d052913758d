import { join } from 'node:path';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';
import { guestProgram } from '../guest-program.ts';

/** Where the programs lie in the guest. */
export const HOME = '/root/torture';

/**
 * For the kernel's command line. The log shall keep what thousands of switches print. And a host that has no processor for the
 * guest makes its kernel believe after 20 s that CPUs stall, or, while it boots, that there is no timer: a stall of
 * ours would not end after minutes either.
 */
export const PATIENT_LOG =
  'log_buf_len=32M rcupdate.rcu_cpu_stall_timeout=300 watchdog_thresh=60 no_timer_check';

/** A program of this folder, as `HOME/NAME.cjs`. */
export async function guestBundle(name: 'guest-main' | 'guest-link'): Promise<readonly GuestFile[]> {
  return await guestProgram(join(import.meta.dirname, `${name}.ts`), `${HOME}/${name}.cjs`);
}
