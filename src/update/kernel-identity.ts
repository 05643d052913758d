/**
 * Is a kernel the one that an update says it is for?
 *
 * The answer never decides alone: a build can be repeated under the same name, and what runs is what
 * counts. It decides whether it makes sense to load anything that was compiled for that kernel.
 */
import type { ManifestKernel } from './manifest.ts';

export interface KernelIdentity {
  /** `uname -r`. */
  readonly release: string;
  /** `uname -v`: `#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)`. */
  readonly banner: string;
}

/** What differs, in words; undefined if nothing does. `found`: where the other kernel is, `is running`. */
export function identityDifference(
  made: ManifestKernel,
  other: KernelIdentity,
  found: string,
): string | undefined {
  if (made.release !== other.release) {
    return `made for ${made.release}, but ${other.release} ${found}`;
  }
  if (made.banner !== null && made.banner !== other.banner) {
    return `made for '${made.banner}', but '${other.banner}' ${found}`;
  }
  return undefined;
}
