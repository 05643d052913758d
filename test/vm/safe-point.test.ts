/**
 * The safe point: threads of every kind, in every place, are in the way of a switch if they are in the code that is
 * switched, and not if they are not. Preemption is on (preempt=full), so a thread can be anywhere when it is stopped.
 *
 * One guest for all: each test leaves everybody free, and the update reversed.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { judgeLog } from '../support/case/kernel-log.ts';
import { ENDING, HELD, HeldGuest } from '../support/live/held.ts';
import { testModulePath } from '../support/vm/test-module.ts';
import type { VmBackground } from '../support/vm/vm.ts';

const TRACING = '/sys/kernel/tracing';

let guest: HeldGuest;

beforeAll(async () => {
  guest = await HeldGuest.boot({
    append: 'preempt=full',
    cpusInTurn: true,
    monitor: true,
    programs: ['sleepers'],
  });
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await guest.rescue();
  expect(await guest.versions()).toBe('old old');
  const log = await guest.vm.kernelLog();
  expect(judgeLog(log, []).trouble, log).toEqual([]);
});

afterAll(async () => {
  await guest?.close();
});

/** Refused while the thread is there, its task and place named; then the update can be applied, and undone. */
async function expectInTheWay(kind: string, word: string, conflict: RegExp): Promise<string> {
  const held = await guest.hold(kind, word);
  const { cause, conflicts, log } = await guest.tryOnce('applied');
  expect({ cause, conflicts }).toEqual({ cause: 'code_busy', conflicts: [expect.stringMatching(conflict)] });
  expect(await guest.versions()).toBe('old old');
  await guest.letGo([held]);
  await guest.change('applied');
  expect(await guest.versions()).toBe('new new');
  await guest.change('reversed');
  return log;
}

describe('in the old code is a thread', () => {
  it.for([
    ['that sleeps in a callee', 'plain', 'asleep', /^thread_kinds \d+ held$/],
    ['that was preempted in the middle', 'plain', 'runnable', /^thread_kinds \d+ held$/],
    ['that was preempted in a callee', 'plain', 'runnable-callee', /^thread_kinds \d+ held$/],
    ['in the cold part', 'plain', 'cold', /^thread_kinds \d+ held$/],
    ['of the kernel, asleep', 'plain', 'thread asleep', /^holder \d+ held$/],
    ['of the kernel, preempted', 'plain', 'thread runnable', /^holder \d+ held$/],
    ['whose parent waits in vfork()', 'vfork', 'asleep', /^thread_kinds \d+ held$/],
    ['of io_uring', 'ring', 'asleep', /^iou-wrk-\d+ \d+ held$/],
  ] as const)('%s', async ([, kind, word, conflict]) => {
    const log = await expectInTheWay(kind, word, conflict);
    expect(log).toMatch(/held: apply, attempt 1: code_busy; \d+ tasks had not run, \d+ looked at, 0 scanned/);
    expect(log).toMatch(/held: stack of \S+ \(pid \d+\):\n(.*\n)*?.* held: {3}held(\.cold)?\+0x/);
  });

  it.for([
    ['below a frame that the unwinder does not know', 'unreliable', / held$/],
    ['whose stack holds the address of a slot of a kprobe', 'slot', / kprobe-slot$/],
  ] as const)('%s: its whole stack is looked at', async ([, word, conflict]) => {
    const log = await expectInTheWay('plain', word, conflict);
    expect(log).toMatch(/looked at, 1 scanned/);
  });

  it.for([
    ['asleep, through a kretprobe', 'asleep', 'held_asleep'],
    ['preempted, through a kretprobe', 'runnable-callee', 'held_runnable'],
  ] as const)('%s, which holds its return address', async ([, word, callee]) => {
    await guest.script(
      `cd ${TRACING}; echo r:probes/back held:${callee} >>kprobe_events && echo 1 >events/probes/back/enable`,
    );
    const log = await expectInTheWay('plain', word, / held$/);
    expect(log).toMatch(/looked at, 1 scanned/);
    expect(log).toMatch(/held: {3}held\+0x/);
    await guest.script(
      `cd ${TRACING}; echo 0 >events/probes/back/enable; echo -:probes/back >>kprobe_events`,
    );
  });

  it('through the function graph tracer, which holds its return address', async () => {
    await guest.script(
      `cd ${TRACING}; echo held_asleep >set_ftrace_filter && echo function_graph >current_tracer`,
    );
    await expectInTheWay('plain', 'asleep', / held$/);
    await guest.script(`cd ${TRACING}; echo nop >current_tracer; echo >set_ftrace_filter`);
  });
});

it('in the old code are more threads than can be named: those that are, are named whole', async () => {
  await guest.script(`for i in $(seq 200); do echo 'thread asleep' >/proc/held; done`);
  await guest.until('[ "$(cat /sys/module/held/parameters/inside)" = 200 ]');
  const { cause, conflicts, log } = await guest.tryOnce('applied');
  expect(cause).toBe('code_busy');
  expect(conflicts).toHaveLength(128);
  expect(log).toMatch(/ held: more tasks were in the way than are listed$/m);
  for (const conflict of conflicts) expect(conflict).toMatch(/^holder \d+ held$/);
  await guest.letGo();
  await guest.change('applied');
  await guest.change('reversed');
});

describe('not in the way is a thread', () => {
  it('that is about to call the old code: it comes to the new', async () => {
    const held = await guest.hold('plain', 'before');
    await guest.change('applied');
    expect(await guest.letGo([held])).toBe('new');
    await guest.change('reversed');
  });

  it('that has the old code as the place where its system call is restarted', async () => {
    const held = await guest.hold('plain', 'restart');
    held.kill('SIGSTOP');
    await guest.until('grep -l "^State:.T" /proc/[0-9]*/status');
    await guest.change('applied');
    held.kill('SIGCONT');
    const { stdout } = await held.wait();
    expect(stdout).toBe('new\n');
    await guest.letGo();
    await guest.change('reversed');
  });

  it('that is stopped by a debugger at the beginning of its system call', async () => {
    const held = await guest.vm.start(`exec thread_kinds traced not`);
    await guest.until('grep -l "^State:.t" /proc/[0-9]*/status');
    await guest.change('applied');
    held.kill('SIGUSR1');
    const { stdout } = await held.wait();
    expect(stdout).toBe('new\n');
    await guest.change('reversed');
  });
});

/** Whoever changes a stage will be held between the core's check before the stop and the stop, until `go` of divert.ko is 1. */
async function holdBeforeStop(): Promise<void> {
  await guest.script(
    `insmod ${testModulePath('divert')} function=ftrace_text_reserved caller=ksplice hold=1`,
  );
}

async function untilHeld(): Promise<void> {
  await guest.until('[ "$(cat /sys/module/divert/parameters/count)" != 0 ]');
}

/** A figure of the last change of stage. */
async function timing(name: 'prechecked' | 'tasks'): Promise<number> {
  return Number.parseInt(await guest.script(`sed -n 's/^${name} //p' ${HELD}/timing`), 10);
}

/**
 * Applies the update, which has to succeed, and does something between the core's check before the stop and the stop. Programs
 * that end just then may take an attempt; a thread that was called busy would have its stack in the log.
 */
async function applyAround(action: () => Promise<void>): Promise<void> {
  await holdBeforeStop();
  await guest.script('dmesg >/run/before');
  const writer = await guest.vm.start(`echo applied >${HELD}/stage`);
  await untilHeld();
  await action();
  await guest.script('usleep 300000; echo 1 >/sys/module/divert/parameters/go; sleep 1');
  expect(await writer.wait()).toMatchObject({ exitCode: 0 });
  const log = await guest.script('dmesg | tail -n +$(($(wc -l </run/before) + 1))');
  expect(log).toMatch(/held: apply, attempt 1: /);
  expect(log).not.toMatch(/held: stack of/);
  expect(await guest.versions()).toBe('new new');
}

describe('not in the way is a thread that has never run', () => {
  beforeAll(async () => {
    // Or else an ordinary process gets its share of a second after all. The other programs of the guest keep out of its way.
    await guest.script('echo -1 >/proc/sys/kernel/sched_rt_runtime_us; taskset -p 1 1');
  });

  afterAll(async () => {
    await guest?.script('echo 950000 >/proc/sys/kernel/sched_rt_runtime_us; taskset -p 3 1');
  });

  async function bear(): Promise<VmBackground> {
    await guest.script('rm -f /run/let $(grep -l born /run/vm/background-*.out)');
    const parent = await guest.vm.start('exec thread_kinds newborn not');
    await guest.until('grep -q born /run/vm/background-*.out');
    return parent;
  }

  /** It has not run yet; then it may, and comes to the new code. */
  async function grow(parent: VmBackground): Promise<void> {
    const times = await guest.script(
      `child=$(sed -n 's/^born //p' /run/vm/background-*.out); cut -d' ' -f1 /proc/$child/schedstat
       grep -h ctxt_switches /proc/$child/status | tr -dc '0-9\\n'; touch /run/let`,
    );
    expect(times).toBe('0\n0\n0');
    expect((await parent.wait()).stdout).toMatch(/^new$/m);
    await guest.change('reversed');
  }

  it('and was there when threads were looked at before the stop', async () => {
    const parent = await bear();
    await guest.change('applied');
    await grow(parent);
  });

  it('and came afterwards', async () => {
    let parent: VmBackground | undefined;
    await applyAround(async () => {
      parent = await bear();
    });
    if (parent !== undefined) await grow(parent);
    await guest.script('rmmod divert');
  });
});

describe('not in the way is a thread on the list of threads', () => {
  it('that is ending', async () => {
    await guest.script(`insmod ${testModulePath('divert')} function=exit_sem task=mortal hold=1`);
    const parent = await guest.vm.start('exec thread_kinds mortal not');
    await guest.until('[ "$(cat /sys/module/divert/parameters/count)" = 1 ]');
    expect(await guest.script('grep -l mortal /proc/[0-9]*/comm')).toMatch(/comm$/);
    await guest.change('applied');
    await guest.script('echo 1 >/sys/module/divert/parameters/go');
    await guest.until('! grep -q mortal /proc/[0-9]*/comm');
    await guest.change('reversed');
    parent.kill('SIGKILL');
    await parent.wait();
    await guest.script('rmmod divert');
  });

  it.for([
    ['that ended after it was looked at before the stop', 'exec sleep 200000', 'grep -q "^State:.Z"'],
    ['no more, for the same reason', 'wait; sleep 200000', '! test -e'],
  ] as const)('%s', async ([, parent, ended]) => {
    const family = await guest.vm.start(`sleep 100000 & echo $! >/run/dying; ${parent}`);
    await guest.until('[ -s /run/dying ]');
    await applyAround(async () => {
      await guest.script('kill -KILL $(cat /run/dying)');
      await guest.until(`${ended} /proc/$(cat /run/dying)/status`);
    });
    await guest.change('reversed');
    family.kill('SIGKILL');
    await family.wait();
    await guest.script('rmmod divert; rm /run/dying');
  });
});

/**
 * Of functions that `create` refuses, since they are on a stack at every moment. Were a stack not looked at, a hook of the
 * update would refuse it.
 */
describe('always in the old code', () => {
  afterAll(async () => {
    await guest?.reload('');
  });

  /** So it is said; nothing is written. */
  async function expectAlways(name: string, tasks: readonly string[]): Promise<void> {
    await guest.reload(`kernel=${name} never=1`);
    const { cause, conflicts, log } = await guest.tryOnce('applied');
    expect({ cause, conflicts: conflicts.toSorted() }).toEqual({
      cause: 'code_busy',
      conflicts: tasks.map((task) => expect.stringMatching(new RegExp(`^${task} ${name}$`))),
    });
    expect(log).toMatch(new RegExp(`held: {3}${name}\\+0x`));
    expect(log).not.toMatch(/more tasks/);
    expect(await guest.script('cat /sys/module/held_update/parameters/intact')).toBe('1');
  }

  it('are the threads that stop the CPUs: each looks at its own stack', async () => {
    await expectAlways('cpu_stopper_thread', ['migration/0 \\d+', 'migration/1 \\d+']);
  });

  it('are the idle tasks', async () => {
    await expectAlways('do_idle', ['swapper/0 0', 'swapper/1 0']);
  });

  it('are the idle tasks, which are not taken for a thread that ends and has no number either', async () => {
    const divert = 'function=proc_exit_connector task=mortal hold=1';
    await guest.script(`insmod ${testModulePath('divert')} ${divert}`);
    const parent = await guest.vm.start('exec thread_kinds mortal not');
    await guest.until('[ "$(cat /sys/module/divert/parameters/count)" = 1 ]');
    await expectAlways('do_idle', ['swapper/0 0', 'swapper/1 0']);
    expect(await guest.script(`tail -n 1 ${HELD}/conflicts`)).toBe(ENDING);
    await guest.script('echo 1 >/sys/module/divert/parameters/go');
    parent.kill('SIGKILL');
    await parent.wait();
    await guest.script('rmmod divert');
  });
});

describe('the attempt is given up', () => {
  it('while a thread ends that has left the list of threads', async () => {
    const divert = `function=proc_exit_connector task=mortal hold=1`;
    await guest.script(`insmod ${testModulePath('divert')} ${divert}`);
    const parent = await guest.vm.start('exec thread_kinds mortal not');
    await guest.until('[ "$(cat /sys/module/divert/parameters/count)" = 1 ]');
    expect(await guest.script('grep -l mortal /proc/[0-9]*/comm; true')).toBe('');
    const { cause, conflicts } = await guest.tryOnce('applied');
    expect({ cause, conflicts }).toEqual({ cause: 'code_busy', conflicts: [ENDING] });
    await guest.script('echo 1 >/sys/module/divert/parameters/go');
    await guest.change('applied');
    await guest.change('reversed');
    parent.kill('SIGKILL');
    await parent.wait();
    await guest.script('rmmod divert');
  });

  it('while something runs that is not a stopper', async () => {
    await guest.script('echo pretend >/proc/held');
    const { cause, conflicts } = await guest.tryOnce('applied');
    expect(cause).toBe('unexpected_running_task');
    expect(conflicts).toEqual([expect.stringMatching(/^pretender \d+ running$/)]);
    await guest.script('echo pretend-not >/proc/held');
    await guest.change('applied');
    await guest.change('reversed');
  });
});

describe('in the new code, at undo, is a thread', () => {
  it.for([
    ['that sleeps in a callee', 'asleep'],
    ['that was preempted in the middle', 'runnable'],
    ['in the cold part', 'cold'],
  ] as const)('%s', async ([, word]) => {
    await guest.change('applied');
    const held = await guest.hold('plain', word, 'held_update');
    const { cause, conflicts } = await guest.tryOnce('reversed');
    expect(cause).toBe('code_busy');
    expect(conflicts).toEqual([expect.stringMatching(/^thread_kinds \d+ held_new/)]);
    expect(await guest.script(`cat ${HELD}/stage`)).toBe('applied');
    expect(await guest.letGo([held], 'held_update')).toBe('new');
    await guest.change('reversed');
  });
});

describe('the check before the stop', () => {
  it('spares the stop the threads that do not run', async () => {
    const sleepers = await guest.vm.start('exec sleepers 200');
    await guest.until("grep -q 'ready 200' /run/vm/background-*.out");
    await guest.change('applied');
    expect(await timing('prechecked')).toBeGreaterThan(200);
    expect(await timing('tasks')).toBeLessThan(100);
    await guest.change('reversed');
    sleepers.kill('SIGKILL');
    await sleepers.wait();
  });

  it('spares it those, too, that are listed behind threads which have ended since, and before new ones', async () => {
    const start = async (): Promise<VmBackground> => {
      await guest.script('rm -f /run/sleepers');
      const sleepers = await guest.vm.start('exec sleepers 100 >/run/sleepers');
      await guest.until('grep -qx "ready 100" /run/sleepers');
      return sleepers;
    };
    const [first, middle, last] = [await start(), await start(), await start()];
    await holdBeforeStop();
    const change = guest.change('applied');
    await untilHeld();
    middle.kill('SIGKILL');
    await middle.wait();
    const later = await start();
    await guest.script('echo 1 >/sys/module/divert/parameters/go');
    await change;
    const prechecked = await timing('prechecked');
    expect(prechecked).toBeGreaterThan(200);
    expect(prechecked).toBeLessThan(300);
    // Those that are new.
    const tasks = await timing('tasks');
    expect(tasks).toBeGreaterThan(100);
    expect(tasks).toBeLessThan(200);
    await guest.change('reversed');
    await guest.script('rmmod divert');
    for (const sleepers of [first, last, later]) {
      sleepers.kill('SIGKILL');
      await sleepers.wait();
    }
  });

  it('counts for nothing if the thread has run since, and come to the old code', async () => {
    // Asleep at a pipe when it is looked at; then the core is held up, and the same thread goes into held().
    await guest.script('mkfifo /run/door');
    const held = await guest.vm.start('read word </run/door; exec thread_kinds plain asleep');
    await holdBeforeStop();
    const attempt = guest.tryOnce('applied');
    await untilHeld();
    await guest.script('echo in >/run/door');
    await guest.until('[ "$(cat /sys/module/held/parameters/inside)" = 1 ]');
    await guest.script('usleep 300000; echo 1 >/sys/module/divert/parameters/go');
    const { cause, conflicts } = await attempt;
    expect({ cause, conflicts }).toEqual({
      cause: 'code_busy',
      conflicts: [expect.stringMatching(/^thread_kinds \d+ held$/)],
    });
    await guest.script('rmmod divert; rm /run/door');
    await guest.letGo([held]);
  });
});

describe('an NMI while a jump is being written, or taken away', () => {
  it('meets the breakpoint, and is sent on to the new code', async () => {
    const enough = new AbortController();
    const flood = (async () => {
      while (!enough.signal.aborted) await guest.vm.monitor('inject-nmi');
    })();
    // The windows are short: some cycles are needed, on a fast machine more of them.
    const met = await guest.script(`met() { read -r _ _ _ _ _ _ old new _ </proc/held; met=$((old+new)); }
      apply=0; undo=0; i=0; met
      while [ $apply = 0 ] || [ $undo = 0 ]; do
        i=$((i+1)); [ $i -lt 4000 ] || exit 1
        n=$met; echo applied >${HELD}/stage || exit 1; met; apply=$((apply+met-n))
        n=$met; echo reversed >${HELD}/stage || exit 1; met; undo=$((undo+met-n))
      done; echo "apply $apply undo $undo, old code $old new code $new"`);
    enough.abort();
    await flood;
    expect(met).toMatch(/^apply [1-9]\d* undo [1-9]\d*, old code 0 new code [1-9]\d*$/);
    expect(await guest.script('cat /proc/held')).toMatch(/^old old nmis [1-9]\d* [1-9]\d* /);
  });
});
