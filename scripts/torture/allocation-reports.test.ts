import { describe, expect, it } from 'vitest';
import { withoutAllocationReports } from './allocation-reports.ts';

describe('the log of a run with failed allocations', () => {
  it('has no stack of the allocator, and keeps the stacks of others', () => {
    const report = [
      'fail_nth: vmalloc error: size 81920',
      'CPU: 1 PID: 90',
      'Hardware name: x',
      'Call Trace:',
    ];
    const warning = ['------------[ cut here ]------------', 'WARNING: CPU: 1', 'Call Trace:'];
    expect(withoutAllocationReports([...report, ...warning, 'end'].join('\n'))).toBe(
      [...report.slice(0, 3), ...warning, 'end'].join('\n'),
    );
    expect(withoutAllocationReports('BUG: x\nCall Trace:')).toBe('BUG: x\nCall Trace:');
  });
});
