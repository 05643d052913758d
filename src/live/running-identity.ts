import { readFileSync } from 'node:fs';
import type { KernelIdentity } from '../update/kernel-identity.ts';

/** What the running kernel says of itself. */
export function runningIdentity(): KernelIdentity {
  return {
    release: readFileSync('/proc/sys/kernel/osrelease', 'latin1').trim(),
    banner: readFileSync('/proc/sys/kernel/version', 'latin1').trim(),
  };
}
