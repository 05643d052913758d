import { readFileSync } from 'node:fs';
import { MissingError } from '../diagnostics/error.ts';
import type { KernelIdentity } from '../update/kernel-identity.ts';

function readWord(name: string): string {
  const file = `/proc/sys/kernel/${name}`;
  try {
    return readFileSync(file, 'latin1').trim();
  } catch (cause) {
    throw new MissingError('no_kcore', `${file}: cannot be read, so neither can the running kernel`, {
      hint: 'mount /proc, whole: in some containers it shows processes only, and no kernel can be updated from there',
      cause,
    });
  }
}

/** What the running kernel says of itself. Throws MissingError where /proc is not there, or shows processes only. */
export function runningIdentity(): KernelIdentity {
  return { release: readWord('osrelease'), banner: readWord('version') };
}
