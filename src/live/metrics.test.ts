import { describe, expect, it } from 'vitest';
import type { EffectiveVersion } from './effective-version.ts';
import { metricsText } from './metrics.ts';
import type { UpdateView } from './view.ts';

const kernel: EffectiveVersion = {
  release: '6.1.0-47-cloud-amd64',
  banner: '#1',
  version: '6.1.170-3',
  updates: ['fix'],
  cves: ['CVE-2026-9999'],
  shadowed: [],
};

const fix: UpdateView = {
  id: 'fix',
  stage: 'applied',
  engine: 'livepatch',
  atBoot: false,
  notApplied: null,
  description: '',
  cves: ['CVE-2026-9999'],
  appliedAt: '2026-11-24T14:33:33.500Z',
  ageSeconds: 60,
  functions: ['a', 'b'],
  units: ['fs/a.o'],
  on: [],
  abortCause: 'ok',
  conflicts: [],
  shadowed: [],
  patches: [],
  modules: [],
  signature: null,
};

/** `name{labels} value` by line, after the rules of the format were checked. */
function samples(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let current = '';
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.trimEnd().split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = ''] = comment;
      if (kind === 'HELP') current = name;
      else expect(name).toBe(current);
      continue;
    }
    const [, name, labels = '', value] =
      /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? ([-0-9.]+)$/.exec(line) ?? [];
    expect(name, line).toBe(current);
    expect(found.has(`${name}${labels}`)).toBe(false);
    found.set(`${name}${labels}`, Number(value));
  }
  return found;
}

describe('metricsText', () => {
  it('tells the stage, the time and the size of each update', () => {
    const found = samples(
      metricsText(kernel, [fix, { ...fix, id: 'old', stage: 'reversed', appliedAt: null }], 2),
    );
    expect(found.get('ksplice_kernel_info{release="6.1.0-47-cloud-amd64",version="6.1.170-3"}')).toBe(1);
    expect(found.get('ksplice_core_interface')).toBe(2);
    expect(found.get('ksplice_update_engine{id="fix",engine="livepatch"}')).toBe(1);
    expect(found.get('ksplice_updates{stage="applied"}')).toBe(1);
    expect(found.get('ksplice_updates{stage="reversed"}')).toBe(1);
    expect(found.get('ksplice_updates{stage="preparing"}')).toBe(0);
    expect(found.get('ksplice_update_applied{id="fix"}')).toBe(1);
    expect(found.get('ksplice_update_applied{id="old"}')).toBe(0);
    expect(found.get('ksplice_update_applied_timestamp_seconds{id="fix"}')).toBe(1795530813.5);
    expect(found.has('ksplice_update_applied_timestamp_seconds{id="old"}')).toBe(false);
    expect(found.get('ksplice_update_functions{id="fix"}')).toBe(2);
    expect(found.get('ksplice_cve_fixed{cve="CVE-2026-9999"}')).toBe(1);
  });

  it('counts who was in the way, and what a livepatch has taken over', () => {
    const busy = {
      ...fix,
      conflicts: [{ task: 'cat', pid: 7, functions: ['a'] }],
      shadowed: [{ function: 'a', livepatch: 'lp' }],
    };
    const found = samples(metricsText(kernel, [busy], 2));
    expect(found.get('ksplice_update_conflicts{id="fix"}')).toBe(1);
    expect(found.get('ksplice_update_shadowed_functions{id="fix"}')).toBe(1);
  });

  it('of a kernel without updates holds no empty families, and escapes what a release may hold', () => {
    const odd = { ...kernel, release: 'a"b\\c', version: null, cves: [], updates: [] };
    const text = metricsText(odd, [], undefined);
    expect(text).not.toContain('ksplice_update_applied');
    expect(text).not.toContain('ksplice_cve_fixed');
    expect(samples(text).get('ksplice_kernel_info{release="a\\"b\\\\c",version=""}')).toBe(1);
    expect(samples(text).get('ksplice_core_interface')).toBe(0);
  });
});
