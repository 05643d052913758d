import { describe, expect, it } from 'vitest';
import { judgeLog } from './kernel-log.ts';

const WARNING = [
  '[   9.1] ------------[ cut here ]------------',
  '[   9.1] WARNING: CPU: 0 PID: 1 at fs/x.c:1 f+0x1/0x2',
  '[   9.1] CPU: 0 PID: 1 Comm: sh Tainted: G           OE',
  '[   9.1] Call Trace:',
  '[   9.1] ---[ end trace 0123456789abcdef ]---',
];

const judge = (lines: readonly string[], announced: readonly RegExp[] = []) =>
  judgeLog(lines.join('\n'), announced);

describe('judgeLog', () => {
  it('has nothing against ordinary lines and the two notices about an unsigned module', () => {
    const verdict = judge([
      '[   0.1] \tRCU CPU stall warnings timeout set to 300 (rcu_cpu_stall_timeout).',
      '[   1.0] ksplice: x: applied',
      '[   1.0] ksplice: loading out-of-tree module taints kernel.',
      '[   1.0] ksplice: module verification failed: signature and/or required key missing - tainting kernel',
    ]);
    expect(verdict).toEqual({ trouble: [], missing: [] });
  });

  it.each([
    'WARNING: CPU: 0',
    'BUG: unable to handle page fault',
    'Oops: 0002 [#1]',
    'Call Trace:',
    'general protection fault, 0000',
    'rcu: INFO: rcu_preempt self-detected stall on CPU',
    'watchdog: BUG: soft lockup',
    'INFO: task sh:1 blocked for more than 120 seconds.',
    'x: livepatch taints kernel',
  ])('holds against a case: %s', (line) => {
    expect(judge(['[ 1.0] fine', `[ 1.0] ${line}`]).trouble).toEqual([`[ 1.0] ${line}`]);
  });

  it('forgives an announced warning with all that belongs to it, and nothing more', () => {
    const after = '[   9.2] BUG: something else';
    expect(judge(WARNING, [/WARNING: .* f\+/m])).toEqual({ trouble: [], missing: [] });
    expect(judge([...WARNING, after], [/WARNING: .* f\+/m]).trouble).toEqual([after]);
    expect(
      judge([...WARNING, ...WARNING.map((line) => line.replace(' f+', ' g+'))], [/ f\+/m]).trouble,
    ).toHaveLength(3);
  });

  it('names what was announced and is not there', () => {
    expect(judge(['[ 1.0] fine'], [/WARNING/m])).toEqual({ trouble: [], missing: [/WARNING/m] });
  });
});
