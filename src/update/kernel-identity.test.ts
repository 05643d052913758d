import { describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { identityDifference } from './kernel-identity.ts';

const { kernel } = sampleUpdate();
const banner = '#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)';
const made = { ...kernel, banner };

describe('identityDifference', () => {
  it('is none for the same kernel, and for an update that does not know the banner', () => {
    expect(identityDifference(made, { release: kernel.release, banner }, 'is running')).toBeUndefined();
    expect(
      identityDifference({ ...made, banner: null }, { release: kernel.release, banner }, 'is running'),
    ).toBeUndefined();
  });

  it('says both releases', () => {
    expect(identityDifference(made, { release: '6.1.0-50-cloud-amd64', banner }, 'is running')).toBe(
      `made for ${kernel.release}, but 6.1.0-50-cloud-amd64 is running`,
    );
  });

  it('another build under the same release is another kernel', () => {
    const running = { release: kernel.release, banner: banner.replace('170-3', '176-1') };
    expect(identityDifference(made, running, 'is running')).toMatch(/170-3.* but .*176-1.* is running$/);
  });
});
