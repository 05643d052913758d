/**
 * Who else has a hand in a running kernel: tracers, BPF programs, kprobes, CPUs that come and go, suspend, programs that
 * are killed. An update lives with them, or is refused and names them.
 *
 * One guest for all: each test leaves it as it was. What a livepatch does is in test/vm/rewritten-text.test.ts, static
 * keys are in rewritten-text-static-key.test.ts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addressAt } from '../../src/kernel/address.ts';
import { ImageKernel } from '../../src/kernel/image/image-kernel.ts';
import { judgeLog } from '../support/case/kernel-log.ts';
import { branch } from '../support/kernel-code.ts';
import { HELD, HeldGuest } from '../support/live/held.ts';
import { guestKsplice, UPDATE } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, UPDATE_ID } from '../support/live/update-file.ts';
import { testImage } from '../support/vm/test-kernel.ts';
import type { VmBackground } from '../support/vm/vm.ts';

const TRACING = '/sys/kernel/tracing';
const CPU1 = '/sys/devices/system/cpu/cpu1/online';
/** Someone polls a device whose interrupts were late: the clock of an emulated machine that has been asleep. */
const LATE = [/hpet: Lost \d+ RTC interrupts$/];

let guest: HeldGuest;

beforeAll(async () => {
  guest = await HeldGuest.boot({
    cpusInTurn: true,
    monitor: true,
    programs: ['watch_function', 'stuck_in_prctl', 'text_pokes'],
  });
});

afterEach(async () => {
  expect(await guest.versions()).toBe('old old');
  const log = await guest.vm.kernelLog();
  expect(judgeLog(log, LATE).trouble, log).toEqual([]);
});

afterAll(async () => {
  await guest?.close();
});

async function apply(): Promise<void> {
  expect(await guestKsplice(guest.vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
}

async function undo(): Promise<void> {
  expect(await guestKsplice(guest.vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
}

/** By `watch_function`, whose arguments are given. */
async function watch(what: string): Promise<void> {
  await guest.script(`rm -f /run/watch; mkfifo /run/watch; : >/run/watched
    (exec sleep 100000) >/run/watch & echo $! >/run/keeper
    watch_function ${what} </run/watch >/run/watched 2>&1 &
    echo $! >/run/watcher; until grep -q watching /run/watched; do usleep 50000; done`);
}

async function stopWatching(): Promise<void> {
  await guest.script(
    'kill $(cat /run/watcher /run/keeper); while pidof watch_function; do usleep 50000; done',
  );
}

/** How often each watcher has fired by now. */
async function watched(): Promise<string> {
  return await guest.script(`n=$(wc -l </run/watched); echo >/run/watch
    until [ $(wc -l </run/watched) -gt $n ]; do usleep 50000; done; tail -n 1 /run/watched`);
}

/** Starts a program that prints "stuck" when its thread is there. */
async function stick(program: string): Promise<VmBackground> {
  await guest.script('rm -f $(grep -l stuck /run/vm/background-*.out)');
  const stuck = await guest.vm.start(`exec ${program}`);
  await guest.until('grep -q stuck /run/vm/background-*.out');
  return stuck;
}

describe('perf events of kprobes, and BPF programs at entry and exit', () => {
  /** Asks as a user, once: the answer, and how often each watcher has fired by then. */
  async function ask(): Promise<string> {
    return `${await guest.script('source_route 1000; true')}\n${await watched()}`;
  }

  const fired = (times: number): string =>
    `kprobe ${times} kretprobe ${times} fentry ${times} fexit ${times}`;

  it('that were there before fire on, through apply and undo', async () => {
    await undo();
    await watch(FIXED_FUNCTION);
    expect(await ask()).toBe(`ok\n${fired(1)}`);
    await apply();
    expect(await ask()).toBe(`EPERM\n${fired(2)}`);
    await undo();
    expect(await ask()).toBe(`ok\n${fired(3)}`);
    await stopWatching();
    await apply();
  });

  it('that come under an applied update fire, and go again', async () => {
    await watch(FIXED_FUNCTION);
    expect(await ask()).toBe(`EPERM\n${fired(1)}`);
    await stopWatching();
    expect(await guest.script('source_route 1000; true')).toBe('EPERM');
  });

  it('do not hide a thread that is in the function below them', async () => {
    await undo();
    await watch(FIXED_FUNCTION);
    const stuck = await stick('stuck_in_options');
    expect(await guestKsplice(guest.vm, `apply ${UPDATE}`)).toMatchObject({
      exitCode: 5,
      json: {
        code: 'code_busy',
        message: expect.stringMatching(/stuck_in_option \(pid \d+\) is in ip_options_get;/),
      },
    });
    stuck.kill('SIGKILL');
    await stuck.wait();
    await apply();
    await stopWatching();
  });
});

describe('a decoder of processor traces', () => {
  /** The size of a call of ftrace's, behind which the jump is. */
  const ENTRY = 5n;

  async function watchPokes(): Promise<void> {
    await guest.script(`rm -f /run/poke; mkfifo /run/poke; (exec sleep 100000) >/run/poke & echo $! >/run/keeper
      text_pokes </run/poke >>/run/pokes 2>&1 & echo $! >/run/poker
      until grep -q watching /run/pokes; do usleep 50000; done`);
  }

  async function stopWatchingPokes(): Promise<void> {
    await guest.script('kill $(cat /run/poker /run/keeper); while pidof text_pokes; do usleep 50000; done');
  }

  /** Old and new bytes of each record about a place, of those that came since it was asked last. */
  async function recordsOf(place: bigint): Promise<readonly string[]> {
    const text = await guest.script(`: >/run/pokes; echo >/run/poke
      until grep -qE '^end|lost' /run/pokes; do usleep 50000; done; cat /run/pokes`);
    const prefix = `${place.toString(16)} `;
    const lines = text.split('\n');
    expect(lines.at(-1)).toBe('end');
    return lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
  }

  async function addressOf(name: string): Promise<bigint> {
    return BigInt(`0x${await guest.script(`awk '$3 == "${name}" { print $1 }' /proc/kallsyms`)}`);
  }

  it('is told of the jump at apply, and of the old bytes at undo', async () => {
    await undo();
    const place = (await addressOf(FIXED_FUNCTION)) + ENTRY;
    await watchPokes();
    await apply();
    const replacement = await addressOf(`${FIXED_FUNCTION}.ksplice_${UPDATE_ID}`);
    const [told = '', ...others] = await recordsOf(place);
    const [before = '', after = ''] = told.split(' ');
    expect(others).toEqual([]);
    expect(after).toMatch(
      new RegExp(`^${Buffer.from(branch(0xe9, place, replacement)).toString('hex')}(?:90)*$`),
    );
    const image = await ImageKernel.open(await testImage());
    const [atRest] = image.named(FIXED_FUNCTION);
    if (atRest === undefined) throw new Error(`${FIXED_FUNCTION}: not in the image`);
    const old = image.read(addressAt(atRest.address, Number(ENTRY)), after.length / 2);
    expect(before).toBe(Buffer.from(old).toString('hex'));
    await undo();
    expect(await recordsOf(place)).toEqual([`${after} ${before}`]);
    await stopWatchingPokes();
    await apply();
  });
});

/** The unwinder does not know the way through what BPF has generated, so all of the stack is looked at. */
describe('BPF programs alone', () => {
  it('between a function and the place where a thread sleeps do not hide that it is in the function', async () => {
    await undo();
    await watch('handle_userfault bpf');
    for (const [command, direction] of [
      [`apply ${UPDATE} --debug`, 'apply'],
      [`undo ${UPDATE_ID}`, 'undo'],
    ] as const) {
      const stuck = await stick('stuck_in_options');
      // The trampoline is on its stack: the second program is to run when it comes back.
      const [, entered, left] = /^fentry (\d+) fexit (\d+)$/.exec(await watched()) ?? [];
      expect(Number(entered) - Number(left)).toBe(1);
      expect(await guestKsplice(guest.vm, command)).toMatchObject({
        exitCode: 5,
        json: {
          code: 'code_busy',
          message: expect.stringMatching(/code in use: stuck_in_option \(pid \d+\) is in ip_options_get\S*;/),
        },
      });
      expect(await guest.vm.kernelLog()).toMatch(
        new RegExp(
          `${UPDATE_ID}: ${direction}, attempt 5: code_busy; \\d+ tasks had not run, \\d+ looked at, 1 scanned; .*\n` +
            `.*${UPDATE_ID}: stack of stuck_in_option \\(pid \\d+\\):\n` +
            `(.* ${UPDATE_ID}: {3}.*\n)*.* {3}bpf_trampoline_\\d+.*\n(.* ${UPDATE_ID}: {3}.*\n)*.* {3}ip_options_get\\S*\\+0x`,
        ),
      );
      stuck.kill('SIGKILL');
      await stuck.wait();
      expect(await guestKsplice(guest.vm, command)).toMatchObject({ exitCode: 0 });
    }
    await stopWatching();
    await apply();
  });

  it('that sleep before a function begins: its thread is in the way of apply, and in the end calls what is in force', async () => {
    const HOOK = 'bpf_lsm_task_prctl';
    await guest.reload(`kernel=${HOOK}`);
    await watch(`${HOOK} reader`);
    const before = await stick('stuck_in_prctl');
    const { cause, conflicts, log } = await guest.tryOnce('applied');
    expect({ cause, conflicts }).toEqual({
      cause: 'code_busy',
      conflicts: [expect.stringMatching(new RegExp(`^stuck_in_prctl \\d+ ${HOOK}$`))],
    });
    expect(log).toMatch(/looked at, 1 scanned/);
    expect(log).toMatch(new RegExp(`held: {3}bpf_trampoline_\\d+.*\n(.*\n)*.*held: {3}${HOOK}\\+0x5/`));
    before.kill('SIGUSR1');
    expect((await before.wait()).stdout).toBe('stuck\nold\n');

    await guest.change('applied');
    expect(await guest.script('cat /sys/module/held_update/parameters/intact')).toBe('0');
    const under = await stick('stuck_in_prctl');
    under.kill('SIGUSR1');
    expect((await under.wait()).stdout).toBe('stuck\nnew\n');

    // It is not in the new code, and comes to the old.
    const after = await stick('stuck_in_prctl');
    await guest.change('reversed');
    after.kill('SIGUSR1');
    expect((await after.wait()).stdout).toBe('stuck\nold\n');
    await stopWatching();
    await guest.reload('');
  });
});

describe('under an applied update', () => {
  it('all kprobes can be disarmed and armed again', async () => {
    await guest.script(`cd ${TRACING}; echo 'p:probes/one ip_options_undo+6' >>kprobe_events ||
      echo 'p:probes/one ip_options_undo' >>kprobe_events
      echo 'r:probes/back ${FIXED_FUNCTION}' >>kprobe_events && echo 1 >events/probes/enable`);
    await guest.change('applied');
    for (const position of [0, 1, 0]) {
      await guest.script(`echo ${position} >/sys/kernel/debug/kprobes/enabled`);
      expect(await guest.script('source_route 1000; cut -d" " -f1,2 /proc/held')).toBe('EPERM\nnew new');
    }
    await guest.change('reversed');
    await guest.script(`echo 1 >/sys/kernel/debug/kprobes/enabled; cd ${TRACING}; echo 0 >events/probes/enable
      echo >kprobe_events`);
  });

  it('all tracepoints can be turned on and off', async () => {
    await guest.change('applied');
    await guest.script(
      `cd ${TRACING}; echo 1 >events/enable; source_route 1000; cat /proc/held; echo 0 >events/enable; echo >trace`,
    );
    expect(await guest.script('source_route 1000; cut -d" " -f1,2 /proc/held')).toBe('EPERM\nnew new');
    await guest.change('reversed');
  });

  it('a CPU can go and come back, also between apply and undo', async () => {
    await guest.script(`echo 0 >${CPU1}`);
    await guest.change('applied');
    await guest.script(`echo 1 >${CPU1}`);
    expect(await guest.script('for cpu in 1 2; do taskset $cpu cut -d" " -f1,2 /proc/held; done')).toBe(
      'new new\nnew new',
    );
    await guest.script(`echo 0 >${CPU1}`);
    await guest.change('reversed');
    await guest.script(`echo 1 >${CPU1}`);
  });

  it('the machine can sleep and wake up', async () => {
    await guest.change('applied');
    const asleep = await guest.vm.start('echo mem >/sys/power/state');
    let state: unknown;
    for (let tries = 0; tries < 600 && state !== 'suspended'; tries += 1) {
      await delay(200);
      state = v.parse(v.object({ status: v.string() }), await guest.vm.monitor('query-status')).status;
    }
    expect(state).toBe('suspended');
    await guest.vm.monitor('system_wakeup');
    expect(await asleep.wait()).toMatchObject({ exitCode: 0 });
    expect(await guest.script('source_route 1000; cut -d" " -f1,2 /proc/held')).toBe('EPERM\nnew new');
    await guest.change('reversed');
  });
});

describe('while CPUs come and go all the time', () => {
  it('apply and undo work, and nobody waits for the other for ever', async () => {
    const hotplug = await guest.vm.start(`while :; do echo 0 >${CPU1}; echo 1 >${CPU1}; done`);
    await guest.script(
      `for i in $(seq 30); do echo applied >${HELD}/stage && echo reversed >${HELD}/stage || exit 1; done`,
    );
    hotplug.kill('SIGTERM');
    await hotplug.wait();
    await guest.script(`echo 1 >${CPU1} 2>/dev/null; cat ${CPU1} | grep -qx 1`);
  });
});

describe('hooks that sleep', () => {
  const calls = async (): Promise<string> =>
    await guest.script('cat /sys/module/held_update/parameters/calls');

  it('of a program that is killed meanwhile: the switch is made or not, and the hooks told which', async () => {
    await guest.reload('hooks=1');
    await guest.script(`echo applied >${HELD}/stage & echo $! >/run/writer
      until [ "$(cat /sys/module/held_update/parameters/inside)" = 1 ]; do usleep 50000; done
      kill -KILL $(cat /run/writer); wait`);
    const stage = await guest.script(`cat ${HELD}/stage`);
    expect([await guest.versions(), await calls()]).toEqual(
      stage === 'applied' ? ['new new', '1,1,0'] : ['old old', '1,0,1'],
    );
    await guest.script('echo 1 >/sys/module/held_update/parameters/go');
    if (stage !== 'applied') await guest.change('applied');
    await guest.change('reversed');
  });

  it('of a resident update are called each time it is switched on and off', async () => {
    await guest.reload('hooks=1 resident=1 go=1');
    for (const cycles of [1, 2, 3]) {
      await guest.change('applied');
      expect(await guest.versions()).toBe('new new');
      await guest.change('reversed');
      expect(await calls()).toBe(`${2 * cycles},${2 * cycles},0`);
    }
    expect((await guest.vm.run('/sbin/rmmod held_update')).stderr).toMatch(/in use/);
  });
});
