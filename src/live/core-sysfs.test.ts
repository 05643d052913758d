import { describe, expect, it } from 'vitest';
import { parseConflicts, parseTiming } from './core-sysfs.ts';

describe('parseConflicts', () => {
  it('reads names, numbers and functions', () => {
    expect(parseConflicts('cat 17 pipe_read\nsleepers 200 do_poll ep_poll\n')).toEqual([
      { task: 'cat', pid: 17, functions: ['pipe_read'] },
      { task: 'sleepers', pid: 200, functions: ['do_poll', 'ep_poll'] },
    ]);
  });

  it('takes the last number for the pid: names of tasks hold spaces and numbers', () => {
    expect(parseConflicts('my task 7 12 pipe_read')).toEqual([
      { task: 'my task 7', pid: 12, functions: ['pipe_read'] },
    ]);
  });

  it('is empty where nobody was in the way', () => {
    expect(parseConflicts('')).toEqual([]);
  });
});

describe('parseTiming', () => {
  it('reads the figures by name', () => {
    expect(parseTiming('attempts 2\nstopped_ns 1690000\ncall_ns 2100000\ntasks 257\nscanned 1')).toEqual({
      attempts: 2,
      stoppedNs: 1690000,
      callNs: 2100000,
      tasks: 257,
      scanned: 1,
    });
  });
});
