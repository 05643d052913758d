/**
 * Which kernel really runs: the version that it booted with, and what has been fixed in it since.
 */
import type { KernelIdentity } from '../update/kernel-identity.ts';
import type { UpdateView } from './view.ts';

export interface EffectiveVersion {
  /** `uname -r`. */
  readonly release: string;
  /** `uname -v`. */
  readonly banner: string;
  /** Version of the Debian package that it was built as, by its own word; null for other kernels. */
  readonly version: string | null;
  /** IDs of the applied updates. */
  readonly updates: readonly string[];
  /** CVE numbers of what these fix: rising, each once. */
  readonly cves: readonly string[];
  /** IDs of applied updates of which a function is taken over by somebody else: what they fix is not counted. */
  readonly shadowed: readonly string[];
}

/** `#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)` */
export function packageVersion(banner: string): string | null {
  return /\bDebian (\S+) \(\d{4}-\d\d-\d\d\)$/.exec(banner)?.[1] ?? null;
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

export function effectiveVersion(
  identity: KernelIdentity,
  updates: readonly Pick<UpdateView, 'id' | 'stage' | 'cves' | 'shadowed'>[],
): EffectiveVersion {
  const applied = updates.filter(({ stage }) => stage === 'applied');
  const inForce = applied.filter(({ shadowed }) => shadowed.length === 0);
  return {
    ...identity,
    version: packageVersion(identity.banner),
    updates: applied.map(({ id }) => id),
    cves: [...new Set(inForce.flatMap(({ cves }) => cves))].toSorted(byNumber),
    shadowed: applied.filter((each) => !inForce.includes(each)).map(({ id }) => id),
  };
}

/** One line: the package's version, or the release, and what was added: `6.1.170-3+CVE-2026-9999+CVE-2026-53249`. */
export function effectiveVersionText({
  release,
  version,
  updates,
  cves,
  shadowed,
}: EffectiveVersion): string {
  const base = version ?? release;
  // An update that names no CVE is told by its ID.
  const added =
    updates.length > 0 && cves.length === 0 ? updates.filter((id) => !shadowed.includes(id)) : cves;
  return [base, ...added].join('+');
}
