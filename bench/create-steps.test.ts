import { describe, expect, it } from 'vitest';
import { sharesOf, stepsOf } from './create-steps.ts';
import { type MeasuredRun, type ProcessTime, peakOfAll } from './process-times.ts';

function ended(
  [pid, parent, name]: readonly [number, number, string],
  [start, end, cpu, commandCpu]: readonly [number, number, number, number],
  peakKb = 0,
  commandPeakKb = 0,
): ProcessTime {
  return { pid, parent, name, start, end, cpu, commandCpu, peakKb, commandPeakKb };
}

/** A create that asks kbuild, which compiles once, and then compiles once itself. */
const measured: MeasuredRun = {
  exitCode: 0,
  stdout: '',
  lines: [
    { at: 1, text: '[   1.0 s] asking kbuild about a.c' },
    { at: 6, text: '[   6.0 s] compiled a.o (pre-plain), 1 of 3' },
    { at: 8, text: '[   8.0 s] comparing' },
  ],
  wall: 10,
  load: 0,
  processes: [
    ended([5, 4, 'cc1'], [2, 3, 0.5, 0.2], 300, 10),
    ended([4, 2, 'make'], [1, 4, 0.25, 0.2], 20, 10),
    ended([2, 1, 'flock'], [1, 4, 0, 0.2], 1, 20),
    ended([7, 6, 'cc1'], [4, 5, 0.5, 0.4], 100, 40),
    ended([6, 1, 'gcc-12'], [4, 5, 0.125, 0.4], 2, 40),
    ended([8, 1, 'objtool'], [5, 6, 0.25, 0.4], 10, 50),
    ended([1, 0, 'node'], [0, 10, 1, 1], 50, 50),
  ],
};

describe('steps of a create', () => {
  it('end where the next begins, with or without a line that says so', () => {
    expect(stepsOf(measured).map(({ name, wall, childCpu }) => [name, wall, childCpu])).toEqual([
      ['start, look at kernel and tree, patch', 1, 0],
      ['ask kbuild', 3, 0.75],
      ['compile', 4, 0.875],
      ['compare', 2, 0],
    ]);
  });

  it("share out the processor time of create's own process", () => {
    const own = stepsOf(measured).map(({ ownCpu }) => ownCpu);
    expect(own.reduce((sum, one) => sum + one, 0)).toBeCloseTo(1);
    // At 8 s half of the time from 0.4 s at 6 s to 1 s at 10 s is over.
    expect(own.at(-1)).toBeCloseTo(0.3);
  });
});

describe('shares of a create', () => {
  it('tell the compiler that make started from our own', () => {
    expect(sharesOf(measured)).toEqual({
      own: 1,
      compiler: 0.5,
      objtool: 0.25,
      kbuild: 0.25,
      kbuildCompiler: 0.5,
      other: 0.125,
      total: 2.625,
    });
  });
});

describe('memory of all processes', () => {
  it('is summed over those that lived at the same time', () => {
    // cc1, make and flock, and what the command had when cc1 ended.
    expect(peakOfAll(measured.processes)).toBe(300 + 20 + 1 + 10);
  });

  it('is no less than what one process had by itself', () => {
    const [command] = measured.processes.slice(-1);
    expect(peakOfAll(command === undefined ? [] : [command])).toBe(50);
  });

  it('counts those that have ended before the next end of a process', () => {
    const grown = [
      ended([2, 1, 'cc1'], [1, 4, 0, 0], 100, 10),
      ended([3, 1, 'as'], [2, 5, 0, 0], 7, 200),
      ended([1, 0, 'node'], [0, 6, 0, 0], 205, 205),
    ];
    // as with 200; while cc1 lived, the command had no more than 10.
    expect(peakOfAll(grown)).toBe(7 + 200);
  });
});
