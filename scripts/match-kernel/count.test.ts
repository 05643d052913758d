import { expect, test } from 'vitest';
import { countUnits } from './count.ts';
import type { UnitResult } from './unit-result.ts';

const unit = (path: string, changes: Partial<UnitResult> = {}): UnitResult => ({
  path,
  group: 'fs',
  target: 'vmlinux',
  outcome: 'match',
  reason: '',
  milliseconds: 1,
  bytes: 100,
  explained: {},
  text: [],
  toldApart: [],
  unplaced: [],
  ...changes,
});

test('units, bytes and rewritten places add up; what does not match has none', () => {
  const counts = countUnits([
    unit('fs/a.o', {
      explained: { 'fentry: nop': 2, 'return: thunk': 1 },
      toldApart: ['init_once', 'init_once'],
    }),
    unit('fs/b.o', { target: 'fuse', explained: { 'return: thunk': 4 }, bytes: 10 }),
    unit('fs/c.o', { outcome: 'mismatch', reason: 'differs', bytes: 0 }),
    unit('fs/d.o', { outcome: 'not compared', target: 'tcrypt', reason: 'no such device', bytes: 0 }),
  ]);
  expect(counts).toMatchObject({ units: 4, matching: 2, bytes: 110, inModules: { units: 1, bytes: 10 } });
  expect(counts.mismatches.map(({ path }) => path)).toEqual(['fs/c.o']);
  expect(counts.notCompared.map(({ path }) => path)).toEqual(['fs/d.o']);
  expect(counts.toldApart).toEqual(['init_once of fs/a.o']);
  expect(counts.explained).toEqual([
    ['return: thunk', 5],
    ['fentry: nop', 2],
  ]);
});
