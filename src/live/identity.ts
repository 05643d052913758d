/**
 * Is the running kernel the one that an update says it is for?
 *
 * The answer never decides alone: a build can be repeated under the same name, and what runs is what
 * counts. It decides whether it makes sense to load anything that was compiled for that kernel.
 */
import { readFileSync } from 'node:fs';
import type { ManifestKernel } from '../update/manifest.ts';

export interface RunningIdentity {
  /** `uname -r`. */
  readonly release: string;
  /** `uname -v`: `#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)`. */
  readonly banner: string;
}

export function runningIdentity(): RunningIdentity {
  return {
    release: readFileSync('/proc/sys/kernel/osrelease', 'latin1').trim(),
    banner: readFileSync('/proc/sys/kernel/version', 'latin1').trim(),
  };
}

/** What differs, in words; undefined if nothing does. */
export function identityDifference(kernel: ManifestKernel, running: RunningIdentity): string | undefined {
  if (kernel.release !== running.release) {
    return `made for ${kernel.release}, but ${running.release} is running`;
  }
  if (kernel.banner !== null && kernel.banner !== running.banner) {
    return `made for '${kernel.banner}', but '${running.banner}' is running`;
  }
  return undefined;
}
