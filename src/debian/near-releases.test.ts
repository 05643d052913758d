import { describe, expect, it } from 'vitest';
import { nearReleases } from './near-releases.ts';

const KNOWN = [
  '6.1.0-9-cloud-amd64',
  '6.1.0-47-cloud-amd64',
  '6.1.0-47-cloud-amd64-unsigned',
  '6.1.0-47-cloud-amd64-dbg',
  '6.1.0-48-amd64',
  '6.1.0-48-cloud-amd64',
  '6.1.0-50-cloud-amd64',
  '6.1.0-51-cloud-amd64',
  '6.1.0-52-cloud-amd64',
  '6.12.12+bpo-cloud-amd64',
];

describe('nearReleases', () => {
  it('names the five nearest of the same flavour in ascending order, no debug or unsigned packages', () => {
    expect(nearReleases('6.1.0-49-cloud-amd64', KNOWN)).toEqual([
      '6.1.0-47-cloud-amd64',
      '6.1.0-48-cloud-amd64',
      '6.1.0-50-cloud-amd64',
      '6.1.0-51-cloud-amd64',
      '6.1.0-52-cloud-amd64',
    ]);
  });

  it('compares numbers, not text', () => {
    expect(nearReleases('6.1.0-10-cloud-amd64', KNOWN)[0]).toBe('6.1.0-9-cloud-amd64');
  });

  it('falls back to other flavours', () => {
    expect(nearReleases('6.1.0-48-rt-amd64', KNOWN)).toContain('6.1.0-48-amd64');
  });

  it('is empty when nothing is known', () => {
    expect(nearReleases('6.1.0-47-cloud-amd64', [])).toEqual([]);
  });
});
