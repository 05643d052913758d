import { describe, expect, it } from 'vitest';
import type { TortureRun } from './cycle-outcome.ts';
import { memoryFields } from './memory-use.ts';
import { judge } from './report.ts';

const quiet = { SUnreclaim: 100, VmallocUsed: 10, Percpu: 5 };
const good: TortureRun = {
  cycles: 10,
  completed: 9,
  whole: 1,
  refused: { code_busy: 1 },
  attempts: { 1: 18 },
  stoppedMs: [1, 2],
  cycleMs: [100],
  tasks: 300,
  busyIn: { __fdget_pos: 1 },
  before: [quiet],
  after: [quiet],
  areasBefore: 20,
  areasApplied: 24,
  areasAfter: 20,
  seconds: 12,
};
const ALL = { cycles: 10, judged: memoryFields };
const load = { lost: [], done: ['TCP: 5 bytes'] };

function problems(
  run: TortureRun,
  lost: readonly string[] = [],
  trouble: readonly string[] = [],
): readonly string[] {
  const { ok, lines } = judge(run, { ...load, lost }, trouble, ALL);
  const failed = lines.filter((line) => line.startsWith('FAILED '));
  expect(ok).toBe(failed.length === 0);
  return failed;
}

describe('a torture run', () => {
  it('went well when nine of ten cycles were applied and undone, and nothing was lost', () => {
    expect(problems(good)).toEqual([]);
    expect(judge(good, load, [], ALL).lines.join('\n')).toMatch(/10 cycles in 12 s, 9 applied and undone/);
  });

  it('is not judged by what a kernel keeps that was freed', () => {
    const after = { ...good, after: [{ ...quiet, SUnreclaim: 900 }] };
    expect(problems(after)).toEqual([expect.stringContaining('SUnreclaim')]);
    expect(judge(after, load, [], { cycles: 10, judged: ['VmallocUsed', 'Percpu'] }).ok).toBe(true);
  });

  it('tells the first cycles from the last', () => {
    const slower = { ...good, cycleMs: [1, 1, 1, 8, 9, 9] };
    expect(judge(slower, load, [], ALL).lines).toContain(
      'the first 3 cycles: median 1.0 ms, the last 3: median 9.0 ms',
    );
    expect(judge(good, load, [], ALL).lines).toContain('one cycle');
  });

  it('failed for each thing that must not be', () => {
    expect(problems({ ...good, completed: 8 })).toEqual([expect.stringContaining('8 of 10 cycles')]);
    expect(problems({ ...good, cycles: 9 })).toEqual([expect.stringContaining('9 cycles of 10')]);
    expect(problems({ ...good, failure: 'cycle 3: old code' })).toEqual(['FAILED cycle 3: old code']);
    expect(problems({ ...good, areasApplied: 20 })).toEqual([expect.stringContaining('not seen')]);
    expect(problems({ ...good, areasAfter: 21 })).toEqual([expect.stringContaining('21 after')]);
    expect(problems({ ...good, after: [{ ...quiet, Percpu: 6 }] })).toEqual([
      expect.stringContaining('Percpu'),
    ]);
    expect(problems(good, ['a byte'])).toEqual(['FAILED a byte']);
    expect(problems(good, [], ['WARNING: x'])).toEqual(['FAILED kernel log: WARNING: x']);
  });
});
