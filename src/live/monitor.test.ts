import { describe, expect, it } from 'vitest';
import { judgeUpdates, verdictText } from './monitor.ts';
import type { ModuleView, UpdateView } from './view.ts';

const fix: UpdateView = {
  id: 'fix',
  stage: 'applied',
  engine: 'jump',
  atBoot: false,
  notApplied: null,
  description: '',
  cves: [],
  signature: null,
  appliedAt: '2026-11-24T14:33:33.500Z',
  ageSeconds: 60,
  functions: ['a'],
  units: ['fs/a.o'],
  on: [],
  abortCause: 'ok',
  conflicts: [],
  shadowed: [],
  modules: [],
  patches: [],
};

const fixed: ModuleView = {
  name: 'loop',
  file: '/lib/modules/r/updates/ksplice/fix/loop.ko',
  isFirst: true,
  loaded: 'fixed',
  stale: null,
};

const unsigned = { signer: null, key: null, serial: null };

describe('what a monitor is told', () => {
  it('that all is well, with what is applied and figures', () => {
    const verdict = judgeUpdates(
      [fix, { ...fix, id: 'two' }, { ...fix, id: 'old', stage: 'reversed' }],
      'two',
    );
    expect(verdictText(verdict)).toBe(
      'KSPLICE OK - applied: fix, two | applied=2 preparing=0 reversed=1 installed=0\n',
    );
  });

  it.for<readonly [string, 0 | 1 | 2, readonly UpdateView[], string]>([
    ['a wanted update is not there', 2, [], 'wanted is not applied'],
    ['a wanted update was undone', 2, [{ ...fix, id: 'wanted', stage: 'reversed' }], 'wanted is not applied'],
    [
      'a livepatch has taken a function over',
      2,
      [
        { ...fix, shadowed: [{ function: 'a', livepatch: 'lp' }] },
        { ...fix, id: 'wanted' },
      ],
      'fix: a is not in force, the livepatch lp has taken it over',
    ],
    [
      'the old module is loaded',
      2,
      [{ ...fix, id: 'wanted', modules: [{ ...fixed, loaded: 'another' }] }],
      'wanted: loop is loaded, and it is not the fixed one',
    ],
    [
      'a run was killed',
      1,
      [
        { ...fix, id: 'wanted' },
        { ...fix, stage: 'preparing' },
      ],
      'fix: an apply is under way, or was killed',
    ],
    [
      'the machine was booted again',
      1,
      [
        { ...fix, id: 'wanted' },
        { ...fix, stage: 'installed', modules: [fixed] },
      ],
      'fix: its fixed modules are installed, and it is not applied',
    ],
    [
      'a fixed module is for another build',
      1,
      [{ ...fix, id: 'wanted', modules: [{ ...fixed, stale: 'another banner' }] }],
      'wanted: the fixed module loop is stale (another banner)',
    ],
    [
      'modprobe takes another',
      1,
      [{ ...fix, id: 'wanted', modules: [{ ...fixed, isFirst: false }] }],
      'wanted: modprobe does not take the fixed module loop',
    ],
    [
      'a fixed module was altered',
      1,
      [{ ...fix, id: 'wanted', modules: [{ ...fixed, file: null, isFirst: false }] }],
      'wanted: the fixed module loop is not where it was put',
    ],
    [
      'there is no file of a module, and none is loaded',
      0,
      [{ ...fix, id: 'wanted', modules: [{ ...fixed, file: null, isFirst: false, loaded: 'no' }] }],
      'applied: wanted',
    ],
    [
      'a key was revoked',
      1,
      [{ ...fix, id: 'wanted', signature: { standing: 'revoked_key', ...unsigned } }],
      'wanted: the key that signed it was revoked',
    ],
    [
      'nobody signed it',
      0,
      [{ ...fix, id: 'wanted', signature: { standing: 'not_signed', ...unsigned } }],
      'wanted',
    ],
  ])('%s: %d', ([, status, updates, finding]) => {
    const verdict = judgeUpdates(updates, 'wanted');
    expect(verdict.status).toBe(status);
    expect(verdict.findings.join('; ')).toContain(finding);
  });

  it('the worst first, in one line without a bar', () => {
    const verdict = judgeUpdates(
      [
        { ...fix, stage: 'preparing' },
        { ...fix, id: 'b', shadowed: [{ function: 'a', livepatch: 'x|y\nz' }] },
      ],
      undefined,
    );
    expect(verdictText(verdict)).toMatch(
      /^KSPLICE CRITICAL - b: .* x\/y z has .*; fix: [^|]* \| applied=1 [^\n]*\n$/,
    );
  });
});
