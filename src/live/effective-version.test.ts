import { describe, expect, it } from 'vitest';
import { effectiveVersion, effectiveVersionText, packageVersion } from './effective-version.ts';
import type { UpdateView } from './view.ts';

const identity = {
  release: '6.1.0-47-cloud-amd64',
  banner: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)',
};

function update(
  id: string,
  cves: readonly string[],
  more: Partial<UpdateView> = {},
): Pick<UpdateView, 'id' | 'stage' | 'cves' | 'shadowed'> {
  return { id, stage: 'applied', cves, shadowed: [], ...more };
}

describe('packageVersion', () => {
  it('is what Debian writes behind its name, and nothing for other kernels', () => {
    expect(packageVersion(identity.banner)).toBe('6.1.170-3');
    expect(packageVersion('#1 SMP Debian 6.12.3-1~bpo12+1 (2026-01-01)')).toBe('6.12.3-1~bpo12+1');
    expect(packageVersion('#1 SMP PREEMPT_DYNAMIC Thu Jan 1 00:00:00 UTC 2026')).toBeNull();
    expect(packageVersion('#1 Debian x (soon)')).toBeNull();
  });
});

describe('effectiveVersion', () => {
  it('counts what applied updates fix, each vulnerability once, by year and number', () => {
    const version = effectiveVersion(identity, [
      update('b', ['CVE-2026-53249', 'CVE-2026-9999']),
      update('a', ['CVE-2025-100000', 'CVE-2026-9999']),
      update('gone', ['CVE-2026-1111'], { stage: 'reversed' }),
      update('coming', ['CVE-2026-2222'], { stage: 'preparing' }),
    ]);
    expect(version.updates).toEqual(['b', 'a']);
    expect(version.cves).toEqual(['CVE-2025-100000', 'CVE-2026-9999', 'CVE-2026-53249']);
    expect(effectiveVersionText(version)).toBe('6.1.170-3+CVE-2025-100000+CVE-2026-9999+CVE-2026-53249');
  });

  it('does not count what a livepatch has taken over', () => {
    const shadowed = [{ function: 'f', livepatch: 'other' }];
    const version = effectiveVersion(identity, [
      update('a', ['CVE-2026-9999'], { shadowed }),
      update('b', ['CVE-2026-53249']),
    ]);
    expect(version).toMatchObject({ cves: ['CVE-2026-53249'], shadowed: ['a'], updates: ['a', 'b'] });
    expect(effectiveVersionText(effectiveVersion(identity, [update('a', [], { shadowed })]))).toBe(
      '6.1.170-3',
    );
  });

  it('is told by the IDs of updates that name no vulnerability, and by the release of other kernels', () => {
    const other = { release: '6.1.170', banner: '#1 SMP' };
    expect(effectiveVersionText(effectiveVersion(other, [update('fix', [])]))).toBe('6.1.170+fix');
    expect(effectiveVersionText(effectiveVersion(other, []))).toBe('6.1.170');
  });
});
