import { describe, expect, it } from 'vitest';
import { judgeLog } from '../../test/support/case/kernel-log.ts';
import { LOADER_WITHOUT_MEMORY, withoutAllocationReports } from './allocation-reports.ts';

describe('the log of a run with failed allocations', () => {
  it('has no stack of the allocator, and keeps the stacks of others', () => {
    const report = [
      'fail_nth: vmalloc error: size 81920',
      'CPU: 1 PID: 90 Comm: fail_nth Tainted: G           O       6.1.170-debug #1',
      'Hardware name: x',
      'Call Trace:',
    ];
    const warning = [
      '------------[ cut here ]------------',
      'WARNING: CPU: 1',
      'CPU: 1 PID: 90 Comm: fail_nth Tainted: G           O       6.1.170-debug #1',
      'Call Trace:',
    ];
    expect(withoutAllocationReports([...report, ...warning, 'end'].join('\n'))).toBe(
      ['fail_nth: vmalloc error: size 81920', 'Hardware name: x', ...warning, 'end'].join('\n'),
    );
    expect(withoutAllocationReports('BUG: x\nCall Trace:')).toBe('BUG: x\nCall Trace:');
  });

  it('may have what the loader of modules says without memory for a static key, and no other warning', () => {
    const warning = (where: string): string =>
      [
        '-[ cut here ]-',
        `WARNING: CPU: 0 PID: 66 at ${where}`,
        'Call Trace:',
        '---[ end trace 0000000000000000 ]---',
      ].join('\n');
    const expected = warning('kernel/jump_label.c:738 jump_label_del_module+0x26f/0x290');
    expect(judgeLog(expected, [LOADER_WITHOUT_MEMORY]).trouble).toEqual([]);
    const other = warning('kernel/jump_label.c:100 __jump_label_update+0x26f/0x290');
    expect(judgeLog(`${expected}\n${other}`, [LOADER_WITHOUT_MEMORY]).trouble).toHaveLength(2);
  });
});
