import { describe, expect, test } from 'vitest';
import type { ApplyStory, Told } from './apply-story.ts';
import { isGuestFit, judgeApply } from './apply-verdict.ts';

const facts = { id: 'u_1', names: ['u_1', 'tcp_v4_rcv'], staysResident: false };

function told(output: object | string, exitCode = 0, stderr = ''): Told {
  return { exitCode, stdout: typeof output === 'string' ? output : JSON.stringify(output), stderr };
}

const applied = told({
  updates: [
    {
      id: 'u_1',
      alreadyApplied: false,
      functions: ['tcp_v4_rcv'],
      timing: { attempts: 1, stoppedNs: 1_700_000 },
    },
  ],
});
const undone = told({ updates: [{ id: 'u_1', resident: false }] });
const LOG = `corpus: u_1 from here
[    8.675456] ksplice: loading out-of-tree module taints kernel.
[    9.113671] ksplice: update u_1 applied: 1 function, stopped 2185 us, attempt 1
`;
const good: ApplyStory = { applied, smoke: told('ok pipes\n'), undone, left: [], log: LOG };

describe('how an update fares in a guest', () => {
  test('applied, lived with, undone, nothing left, nothing in the log', () => {
    const result = judgeApply(good, facts);
    expect(result).toEqual({
      outcome: 'undone',
      causes: [],
      text: '1 function, stopped 1.7 ms',
      numbers: { stoppedUs: 1700, attempts: 1, resident: 0 },
    });
    expect(isGuestFit(result)).toBe(true);
  });

  test('a module that stays, where that was expected', () => {
    const story = { ...good, undone: told({ updates: [{ id: 'u_1', resident: true }] }) };
    expect(judgeApply(story, { ...facts, staysResident: true })).toMatchObject({
      outcome: 'undone',
      text: '1 function, stopped 1.7 ms, resident',
      numbers: { resident: 1 },
    });
    expect(judgeApply(story, facts).outcome).toBe('internal_error');
  });

  test("a module that cannot be loaded, in the kernel's words", () => {
    const words = "modprobe: ERROR: could not insert 'sfc': No such device\n";
    const result = judgeApply({ left: [], log: '', notLoaded: { module: 'sfc', words } }, facts);
    expect(result).toMatchObject({
      outcome: 'not_loaded',
      causes: ['No such device'],
      text: 'No such device',
    });
    expect(isGuestFit(result)).toBe(true);
  });

  test('a module that modprobe does not find', () => {
    const words = 'modprobe: FATAL: Module sfc not found in directory /lib/modules/6.1.0\n';
    expect(judgeApply({ left: [], log: '', notLoaded: { module: 'sfc', words } }, facts)).toMatchObject({
      text: 'Module sfc not found in directory /lib/modules/6.1.0',
      causes: ['Module sfc not found in directory FILE'],
    });
  });

  test('a refusal, by code and without the names', () => {
    const refusal = told({ code: 'no_match', message: 'u_1: the code changed' }, 4);
    const result = judgeApply({ applied: refusal, left: [], log: LOG }, facts);
    expect(result).toMatchObject({
      outcome: 'refused',
      causes: ['no_match: NAME: the code changed'],
      text: 'u_1: the code changed',
    });
    expect(isGuestFit(result)).toBe(true);
  });

  test('whoever is in the code, it is one cause', () => {
    const refusal = told({ code: 'code_busy', message: 'u_1: code in use: agent (pid 1) is in read' }, 5);
    expect(judgeApply({ applied: refusal, left: [], log: LOG }, facts).causes).toEqual(['code_busy']);
  });

  test.each<[string, ApplyStory, string, string]>([
    [
      'the load fails',
      { ...good, smoke: told('ok pipes\nline 9: wrong\nfailed tcp\n', 1) },
      'failed',
      'under load: line 9: wrong; failed tcp',
    ],
    [
      'the load is killed and says nothing',
      { ...good, smoke: told('', 142) },
      'failed',
      'under load: exit status 142',
    ],
    [
      'undo does not succeed',
      { ...good, undone: told({ code: 'code_busy', message: 'in use' }, 5) },
      'failed',
      'undo: code_busy: in use',
    ],
    ['something is left', { ...good, left: ['ksplice_u_1'] }, 'failed', 'left: ksplice_u_1'],
    [
      'something is left of an update that was refused',
      { applied: told({ code: 'refused', message: 'no' }, 2), left: ['ksplice'], log: LOG },
      'failed',
      'left: ksplice',
    ],
    [
      'a command hangs',
      { applied, left: [], log: LOG, timedOut: 'guest: smoke_load: killed after 300000 ms\nmore' },
      'failed',
      'guest: smoke_load: killed after 300000 ms',
    ],
    [
      'the kernel complains',
      { ...good, log: `${LOG}[    9.5] BUG: scheduling while atomic: sh/12/0x2\n` },
      'log',
      'BUG: scheduling while atomic: sh/12/0x2',
    ],
    [
      'the kernel complains of an update that was refused',
      { applied: told({ code: 'refused', message: 'no' }, 2), left: [], log: '[ 9.5] WARNING: CPU: 0\n' },
      'log',
      'WARNING: CPU: 0',
    ],
    [
      'the guest dies',
      {
        ...good,
        died: 'guest: Kernel panic - not syncing: Fatal exception (QEMU: exit status 0)\nlast lines',
      },
      'died',
      'guest: Kernel panic - not syncing: Fatal exception (QEMU: exit status 0)',
    ],
    [
      'our bug',
      { ...good, applied: told({ code: 'unexpected', message: 'oops' }, 70) },
      'internal_error',
      '',
    ],
    ['a crash', { ...good, applied: told('', 2, 'Segmentation fault\n') }, 'internal_error', ''],
    ['a result that is none', { ...good, applied: told({ updates: [] }) }, 'internal_error', ''],
    ['a result for another update', { ...good, undone: told({ updates: [] }) }, 'internal_error', ''],
  ])('%s: not good, and the guest is given up', (_, story, outcome, text) => {
    const result = judgeApply(story, facts);
    expect(result.outcome).toBe(outcome);
    if (text !== '') expect(result.text).toBe(text);
    expect(isGuestFit(result)).toBe(false);
  });

  test('an update that was applied already was not tested', () => {
    const story = { ...good, applied: told(applied.stdout.replace('false', 'true')) };
    expect(judgeApply(story, facts).outcome).toBe('internal_error');
  });
});
