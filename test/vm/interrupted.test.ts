/**
 * apply, killed at each of its passes, on an unmodified kernel. Afterwards the kernel is updated or it is not;
 * the next run says which, and carries on; and undo leaves nothing.
 *
 * A pass begins when its line is in the journal, so `before PASS` is also the end of the pass before it. What is
 * there at that moment is written down below, for every pass of the list that the code runs.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { applyPasses } from '../../src/live/apply.ts';
import {
  bootLiveGuest,
  guestKsplice,
  type LiveState,
  look,
  UPDATE,
  untouched,
  updated,
} from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, UPDATE_ID } from '../support/live/update-file.ts';
import type { Vm } from '../support/vm/vm.ts';

const KILLED = 137;
const KILL_AT = '/opt/kill-at.cjs';
const MODULE = `ksplice_${UPDATE_ID}`;

let vm: Vm;

beforeAll(async () => {
  const from = new URL('../support/live/kill-at.cjs', import.meta.url).pathname;
  vm = await bootLiveGuest([{ path: KILL_AT, from }]);
});

afterAll(async () => {
  await vm?.close();
});

function dyingAt(place: string, signal = 'SIGKILL'): { readonly before: string } {
  const kill = `KSPLICE_TEST_KILL='${place}' KSPLICE_TEST_SIGNAL=${signal}`;
  return { before: `${kill} NODE_OPTIONS='--require ${KILL_AT}'` };
}

/** The next run carries on, and undo takes everything away. */
async function expectRecovery(recovered: string): Promise<void> {
  const { exitCode, json } = await guestKsplice(vm, `apply ${UPDATE}`);
  const alreadyApplied = recovered === 'applied';
  const update = { id: UPDATE_ID, recovered, alreadyApplied, functions: [FIXED_FUNCTION] };
  expect(json).toMatchObject({ updates: [update] });
  expect(exitCode).toBe(0);
  expect(await look(vm)).toEqual(updated);
  const undone = await guestKsplice(vm, `undo ${UPDATE_ID}`);
  expect(undone.json).toMatchObject({ updates: [{ id: UPDATE_ID, resident: false }] });
  expect(await look(vm)).toEqual(untouched);
}

const recordOnly: LiveState = { ...untouched, leftovers: [UPDATE_ID] };
const withCore: LiveState = { ...recordOnly, modules: ['ksplice'], entries: [] };
const withEntry: LiveState = { ...withCore, entries: [`${UPDATE_ID} preparing`] };
const withModule: LiveState = { ...withEntry, modules: [MODULE, 'ksplice'] };

/** What is there before each pass, and what the next run calls it. */
const before: Readonly<Record<(typeof applyPasses)[number], readonly [LiveState, string]>> = {
  recover: [recordOnly, 'nothing'],
  core: [recordOnly, 'nothing'],
  create: [withCore, 'nothing'],
  match: [withEntry, 'leftovers'],
  link: [withEntry, 'leftovers'],
  pin: [withEntry, 'leftovers'],
  load: [withEntry, 'leftovers'],
  switch: [withModule, 'leftovers'],
  done: [updated, 'applied'],
};

/** Until a shell condition holds in the guest; a minute at most. */
async function waitFor(vm: Vm, condition: string): Promise<void> {
  const poll = `i=0; until ${condition} 2>/dev/null; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done`;
  expect((await vm.run(poll)).exitCode, condition).toBe(0);
}

describe('apply killed', () => {
  it.for(applyPasses)(
    'before pass %s leaves the kernel updated or not, and the next run carries on',
    async (pass) => {
      const [expected, recovered] = before[pass];
      const { exitCode } = await guestKsplice(vm, `apply ${UPDATE}`, dyingAt(`before ${pass}`));
      expect(exitCode).toBe(KILLED);
      expect(await look(vm)).toEqual(expected);
      await expectRecovery(recovered);
    },
  );

  it('after its last word leaves the kernel updated', async () => {
    const { exitCode } = await guestKsplice(vm, `apply ${UPDATE}`, dyingAt('after done'));
    expect(exitCode).toBe(KILLED);
    expect(await look(vm)).toEqual(updated);
    await expectRecovery('applied');
  });

  it.for([
    ['.ksplice.ko', 'nothing'],
    [`.${MODULE}.ko`, 'leftovers'],
  ])('while %s is being loaded leaves the kernel as it was', async ([file = '', recovered = '']) => {
    const { exitCode } = await guestKsplice(vm, `apply ${UPDATE}`, dyingAt(`spawn ${file}`));
    expect(exitCode).toBe(KILLED);
    // insmod is a process of its own and comes to its end.
    await expect.poll(async () => (await vm.run('pidof insmod')).stdout, { timeout: 20_000 }).toBe('');
    expect(await look(vm)).toMatchObject({ answer: 'ok', trouble: [] });
    await expectRecovery(recovered);
  });
});

describe('apply interrupted between passes', () => {
  it('takes everything away: 130', async () => {
    const outcome = await guestKsplice(vm, `apply ${UPDATE}`, dyingAt('after core', 'SIGINT'));
    expect(outcome.json).toMatchObject({ code: 'interrupted' });
    expect(outcome.exitCode).toBe(130);
    expect(await look(vm)).toEqual(untouched);
  });
});

/** With a thread in the function, all attempts fail, and there is a second between two of them. */
describe('apply ended between two attempts of the switch', () => {
  let stuck: Awaited<ReturnType<Vm['start']>> | undefined;

  async function applyUntilAttempts(): Promise<Awaited<ReturnType<Vm['start']>>> {
    stuck = await vm.start('exec stuck_in_options');
    await waitFor(vm, 'grep -q stuck /run/vm/background-*.out');
    const apply = await vm.start(`ksplice apply ${UPDATE} --json`);
    await waitFor(vm, `grep -q '^attempts [1-3]' /sys/kernel/ksplice/${UPDATE_ID}/timing`);
    return apply;
  }

  afterEach(async () => {
    stuck?.kill('SIGKILL');
    await stuck?.wait();
    await vm.run('rm -f /run/vm/background-*.out');
  });

  it('by SIGKILL leaves the kernel as it was', async () => {
    const apply = await applyUntilAttempts();
    apply.kill('SIGKILL');
    await waitFor(vm, '! pidof node');
    expect(await look(vm)).toEqual(withModule);
    stuck?.kill('SIGKILL');
    await stuck?.wait();
    await expectRecovery('leftovers');
  });

  it('by SIGINT takes everything away: 130', async () => {
    const apply = await applyUntilAttempts();
    apply.kill('SIGINT');
    const { exitCode, stdout } = await apply.wait();
    expect(JSON.parse(stdout)).toMatchObject({ code: 'interrupted' });
    expect(exitCode).toBe(130);
    expect(await look(vm)).toEqual(untouched);
  });

  it('by nobody gives up by itself, and names who is in the way: 5', async () => {
    const apply = await applyUntilAttempts();
    const { exitCode, stdout } = await apply.wait();
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'code_busy',
      message: expect.stringMatching(/stuck_in_option \(pid \d+\) is in ip_options_get/),
      details: { conflicts: [{ task: 'stuck_in_option', functions: [FIXED_FUNCTION] }] },
    });
    expect(exitCode).toBe(5);
    expect(await look(vm)).toEqual(untouched);
  });
});
