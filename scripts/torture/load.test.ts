import { expect, it } from 'vitest';
import { complaintsOf } from './load.ts';

it('stress-ng: what it tells, and an end that was interrupted, are no complaints', () => {
  const failed = 'stress-ng: fail:  [295] pipe: byte 3 is 0x12, expected 0x13';
  const said = [
    'stress-ng: info:  [288] dispatching hogs: 1 pipe',
    'stress-ng: warn:  [288] metrics-check: all bogo-op counters are zero',
    'stress-ng: fail:  [295] pipe: termination write failed, errno=4 (Interrupted system call)',
    failed,
    'stress-ng: fail:  [295] pipe: termination write failed, errno=32 (Broken pipe)',
    'stress-ng: error: [288] process 295 (stress-ng-pipe) terminated',
  ];
  expect(complaintsOf(said)).toEqual(said.slice(3));
});
