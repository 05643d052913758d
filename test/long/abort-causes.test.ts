/**
 * Why a change of stage is not made: each cause, provoked. What a person is told names what happened, says how the
 * kernel was left, and what to do; and the kernel is like that.
 *
 * `call_failed` is provoked by test/cases/hooks, `module_busy` by another update in test/vm/several-updates.test.ts.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { judgeLog } from '../support/case/kernel-log.ts';
import { HELD, HeldGuest } from '../support/live/held.ts';
import { guestKsplice, type KspliceOutcome, look, UPDATE, updated } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, UPDATE_ID } from '../support/live/update-file.ts';
import { testModulePath } from '../support/vm/test-module.ts';
import { shellQuote, type VmBackground } from '../support/vm/vm.ts';

const DO_AT = '/opt/do-at.cjs';
/** What the kernel says when a module is unloaded by force. */
const FORCED = /Disabling lock debugging due to kernel taint$/;

let guest: HeldGuest;

beforeAll(async () => {
  const from = new URL('../support/live/do-at.cjs', import.meta.url).pathname;
  guest = await HeldGuest.boot({ cpusInTurn: true, files: [{ path: DO_AT, from }] });
});

afterAll(async () => {
  await guest?.close();
});

afterEach(async () => {
  const log = await guest.vm.kernelLog();
  expect(judgeLog(log, [FORCED]).trouble, log).toEqual([]);
});

async function divert(options: string): Promise<void> {
  await guest.script(`insmod ${testModulePath('divert')} ${options}`);
}

async function undivert(): Promise<number> {
  return Number(await guest.script('cat /sys/module/divert/parameters/count; rmmod divert'));
}

describe('the core', () => {
  afterEach(async () => {
    expect(await guest.versions()).toBe('old old');
    expect(await guest.script(`cat ${HELD}/stage`)).not.toBe('applied');
  });

  it.for([
    ['kmalloc_trace', 1],
    ['__kmalloc', 1],
    ['vmap', 1],
    ['kvmalloc_node', 3],
  ] as const)(
    'without the memory that %s gives, out_of_memory, and the kernel as it was',
    async ([name, least]) => {
      let refused = 0;
      for (let after = 0; ; after += 1) {
        await divert(`function=${name} caller=ksplice result=0 after=${after}`);
        const { exitCode } = await guest.vm.run(`echo applied >${HELD}/stage`);
        const cause = await guest.script(`cat ${HELD}/abort_cause`);
        const count = await undivert();
        if (exitCode === 0) {
          // Without a table of threads all of them are looked at in the stop: slower, and no reason to refuse.
          await guest.change('reversed');
          if (count === 0) break;
        } else {
          expect(cause).toBe('out_of_memory');
          expect(await guest.versions()).toBe('old old');
          refused += 1;
        }
      }
      expect(refused).toBeGreaterThanOrEqual(least);
    },
  );

  it('takes one change of a stage at a time', async () => {
    const held = await guest.hold('plain', 'asleep');
    await guest.script(`(echo applied >${HELD}/stage) 2>/dev/null & echo $! >/run/writer`);
    await guest.until(`dmesg | tail -n 30 | grep -q 'held: apply, attempt 1'`);
    const control = '/sys/kernel/ksplice/control';
    for (const write of [
      `echo applied >${HELD}/stage`,
      `echo reversed >${HELD}/stage`,
      `echo forget held >${control}`,
      `echo pin held divert >${control}`,
    ]) {
      const { exitCode, stderr } = await guest.vm.run(write);
      expect({ write, exitCode, stderr }).toMatchObject({
        exitCode: 1,
        stderr: expect.stringMatching(/busy/),
      });
    }
    expect((await guest.vm.run('rmmod held_update')).exitCode).not.toBe(0);
    await guest.letGo([held]);
    await guest.until(`grep -qx applied ${HELD}/stage`);
    await guest.change('reversed');
  });

  /** `most`: how many lines there would be for all that the core keeps. */
  async function expectFullPage(stage: 'applied' | 'reversed', line: RegExp, most: number): Promise<void> {
    const module = stage === 'applied' ? 'held' : 'held_update';
    await guest.script(`for i in $(seq 200); do echo 'deep asleep' >/proc/held; done`);
    await guest.until(`[ "$(cat /sys/module/${module}/parameters/inside)" = 200 ]`);
    const { cause, log } = await guest.tryOnce(stage);
    expect(cause).toBe('code_busy');
    expect(log).toMatch(/ held: more tasks were in the way than are listed$/m);
    const text = await guest.script(`cat ${HELD}/conflicts; echo .`);
    const lines = text.split('\n');
    expect(lines.pop()).toBe('.');
    for (const each of lines) expect(each).toMatch(line);
    expect(lines.length).toBeLessThan(most);
    // One more, whose number may have a digit more, has no room beside the NUL.
    const room = 4096 - text.length;
    expect(room).toBeGreaterThanOrEqual(0);
    expect(room).toBeLessThan(Math.max(...lines.map(({ length }) => length)) + 2);
    await guest.letGo([], module);
  }

  it('names as many of those in the way as a page has room for, and these whole: at apply', async () => {
    const line = /^holder_of_depth \d+ held held_below_a_function_of_a_very_long_name$/;
    await expectFullPage('applied', line, 64);
  });

  it('names as many of those in the way as a page has room for, and these whole: at undo', async () => {
    await guest.change('applied');
    await expectFullPage('reversed', /^holder_of_depth \d+ held_new_asleep$/, 128);
    await guest.change('reversed');
  });
});

/** Runs apply with a script that is run before `pass`. */
async function applyWith(script: string, pass = 'switch', flags = ''): Promise<KspliceOutcome> {
  const before = `KSPLICE_TEST_AT=${pass} KSPLICE_TEST_RUN=${shellQuote(script)} NODE_OPTIONS='--require ${DO_AT}'`;
  return await guestKsplice(guest.vm, `apply ${UPDATE} ${flags}`, { before });
}

/** The kernel as it was, but for what the tests have put there. */
async function expectUntouched(): Promise<void> {
  const found = await look(guest.vm);
  expect({ ...found, modules: found.modules.filter((each) => each.startsWith('ksplice_')) }).toMatchObject({
    modules: [],
    entries: ['held reversed'],
    leftovers: [],
    answer: 'ok',
  });
}

describe('apply', () => {
  beforeAll(async () => {
    expect(await guestKsplice(guest.vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
  });

  afterEach(async () => {
    await expectUntouched();
    expect(await guestKsplice(guest.vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect((await look(guest.vm)).answer).toBe(updated.answer);
    expect(await guestKsplice(guest.vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
  });

  it('is told no_match when somebody writes to the code after it was matched', async () => {
    const outcome = await applyWith(`cd /sys/kernel/tracing
      for at in $(seq 16 60); do echo "p:probes/late ${FIXED_FUNCTION}+$at" >>kprobe_events && break; done
      echo 1 >events/probes/late/enable`);
    expect(outcome).toMatchObject({
      exitCode: 4,
      json: {
        code: 'no_match',
        message: expect.stringMatching(/changed between matching and the stop; the kernel is as it was$/),
        hint: expect.stringMatching(/kprobe/),
      },
    });
    expect(await guest.vm.kernelLog()).toMatch(
      new RegExp(`${FIXED_FUNCTION}: unexpected byte at ${FIXED_FUNCTION}\\+0x`),
    );
    await guest.script(
      `cd /sys/kernel/tracing; echo 0 >events/probes/late/enable; echo -:probes/late >>kprobe_events`,
    );
  });

  it('is told code_busy, and with --debug the stack that was in the way', async () => {
    const stuck = await guest.vm.start('exec stuck_in_options');
    await guest.until('grep -q stuck /run/vm/background-*.out');
    const outcome = await applyWith('true', 'switch', '--debug');
    expect(outcome).toMatchObject({
      exitCode: 5,
      json: {
        code: 'code_busy',
        message: expect.stringMatching(/is in ip_options_get; the kernel is as it was$/),
      },
    });
    expect(outcome.stderr).toMatch(
      /core: cve_2026_53249: apply, attempt 5: code_busy; \d+ tasks had not run/,
    );
    expect(outcome.stderr).toMatch(
      /core: cve_2026_53249: stack of stuck_in_option \(pid \d+\):\n(core: .*\n)*core: cve_2026_53249: {3}handle_userfault\+.*\n(core: .*\n)*core: cve_2026_53249: {3}ip_options_get\+/,
    );
    stuck.kill('SIGKILL');
    await stuck.wait();
  });

  it('is told out_of_memory', async () => {
    await divert('function=vmap caller=ksplice result=0');
    expect(await applyWith('true')).toMatchObject({
      exitCode: 5,
      json: {
        code: 'out_of_memory',
        message: expect.stringMatching(/no memory for the switch; the kernel is as it was$/),
      },
    });
    expect(await undivert()).toBe(1);
  });

  it('is told unexpected_running_task', async () => {
    await guest.script('echo pretend >/proc/held');
    expect(await applyWith('true')).toMatchObject({
      exitCode: 5,
      json: {
        code: 'unexpected_running_task',
        message: expect.stringMatching(
          /pretender \(pid \d+\) ran while all CPUs were to stand still; the kernel is as it was$/,
        ),
      },
    });
    await guest.script('echo pretend-not >/proc/held');
  });

  it('is told unexpected where the core itself cannot explain it: 70, with a request to report it', async () => {
    await divert('function=ksplice:ksplice_map_sites result=-14');
    expect(await applyWith('true')).toMatchObject({
      exitCode: 70,
      json: {
        code: 'unexpected',
        message: expect.stringMatching(/the kernel is as it was$/),
        hint: expect.stringMatching(/report/),
      },
    });
    await undivert();
  });

  it('is told that another program is switching the same update', async () => {
    let stuck: VmBackground | undefined = await guest.vm.start('exec stuck_in_options');
    await guest.until('grep -q stuck /run/vm/background-*.out');
    const stage = `/sys/kernel/ksplice/${UPDATE_ID}/stage`;
    const other = `(echo applied >${stage}) & until grep -q '^attempts 1' ${stage.replace('stage', 'timing')}; do usleep 50000; done`;
    expect(await applyWith(other)).toMatchObject({
      exitCode: 5,
      json: {
        code: 'module_busy',
        message: expect.stringMatching(/another program is switching it just now/),
      },
    });
    // The other one goes on, to its own end; what it leaves is found by the next run.
    await guest.until(`grep -qx code_busy /sys/kernel/ksplice/${UPDATE_ID}/abort_cause`);
    expect(await guest.script(`cat ${stage}`)).toBe('preparing');
    stuck.kill('SIGKILL');
    await stuck.wait();
    stuck = undefined;
    expect(await guestKsplice(guest.vm, `apply ${UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ recovered: 'leftovers' }] },
    });
    expect(await guestKsplice(guest.vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
  });
});

/** Last: afterwards held.ko is gone, and the kernel tainted by that. */
describe('a module that was unloaded by force under an update', () => {
  /** With the module back, everything can begin anew: an entry that has never been applied. */
  async function startOver(): Promise<void> {
    const anew = 'rmmod held_update && echo forget held >/sys/kernel/ksplice/control';
    await guest.script(anew);
    await guest.load();
    await guest.change('applied');
    expect(await guest.versions()).toBe('new new');
    await guest.change('reversed');
    await guest.script(`${anew} && rmmod held`);
    await guest.load();
  }

  it('while a hook sleeps that is called before the switch: nothing is written, and the hooks are told', async () => {
    await guest.reload('hooks=1');
    const before = await guest.script(`cat ${HELD}/stage`);
    expect(before).not.toBe('applied');
    await guest.script(`(echo applied >${HELD}/stage) 2>/run/said & echo $! >/run/writer`);
    await guest.until('[ "$(cat /sys/module/held_update/parameters/inside)" = 1 ]');
    await guest.script(`rmmod -f held && echo 1 >/sys/module/held_update/parameters/go`);
    await guest.until(`grep -qx target_not_loaded ${HELD}/abort_cause`);
    expect(await guest.script(`cat ${HELD}/stage /sys/module/held_update/parameters/calls`)).toBe(
      `${before}\n1,0,1`,
    );
    await startOver();
  });

  it.each([
    ['while its code is mapped', 'vmalloc_to_page'],
    ['between that and the stop', 'kvfree'],
  ])('%s: nothing of it is read any more', async (_, held) => {
    await divert(`function=${held} caller=ksplice hold=1`);
    await guest.script(`(echo applied >${HELD}/stage) 2>/run/said & true`);
    await guest.until('[ "$(cat /sys/module/divert/parameters/count)" = 1 ]');
    await guest.script('rmmod -f held && echo 1 >/sys/module/divert/parameters/go');
    await guest.until(`grep -qx target_not_loaded ${HELD}/abort_cause`);
    expect(await guest.script(`cat ${HELD}/stage`)).toBe('preparing');
    await guest.script('rmmod divert');
    await startOver();
  });

  it('is target_not_loaded, and is never written to again', async () => {
    await guest.change('applied');
    expect((await guest.vm.run('/sbin/rmmod held')).stderr).toMatch(/in use/);
    // No thread is in it: the test does by force what an administrator must not.
    await guest.script('rmmod -f held');
    const { exitCode } = await guest.vm.run(`echo reversed >${HELD}/stage`);
    expect(exitCode).not.toBe(0);
    expect(await guest.script(`cat ${HELD}/abort_cause ${HELD}/stage`)).toBe('target_not_loaded\napplied');
    expect(await guest.vm.kernelLog()).toMatch(
      /ksplice: held: module held was unloaded by force; the update stays as it is/,
    );
    expect(await guest.script(`cat ${HELD}/pins`)).toBe('held -');
  });
});
