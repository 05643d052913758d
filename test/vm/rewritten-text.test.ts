/**
 * Others who write to the text of the running kernel: livepatches, kprobes, tracers. An update of a unit that they have
 * written to fits, and says whose the bytes are; one of a function that is theirs is refused, and says so too. What
 * they do goes on before, during and after the update.
 *
 * One guest for all: each test leaves it as it was.
 */
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { judgeLog } from '../support/case/kernel-log.ts';
import { bootLiveGuest, guestKsplice, look, UPDATE, untouched, updated } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, UPDATE_ID } from '../support/live/update-file.ts';
import { runScript } from '../support/vm/run-script.ts';
import { testModuleFile, testModulePath } from '../support/vm/test-module.ts';
import type { Vm } from '../support/vm/vm.ts';

const LIVEPATCH = 'counted';
/** In the same unit as the function that the update replaces; getsockopt() calls it, and so `source_route` does. */
const OTHER_FUNCTION = 'ip_options_undo';
const FUNCTIONS_OF_UNIT = 9;
/** Where the jump goes: behind the ftrace entry. */
const SITE = 5;

/** A second tracer has an instance of its own. */
const INSTANCE = 'instances/second';
/** All functions of the unit. */
const FILTER = 'ip_options_* __ip_options_* ip_forward_options';

const resultSchema = v.object({
  units: v.tuple([v.object({ explained: v.record(v.string(), v.number()) })]),
});

const applied = { exitCode: 0, json: { updates: [{ id: UPDATE_ID, functions: [FIXED_FUNCTION] }] } };
const undone = { exitCode: 0, json: { updates: [{ id: UPDATE_ID, resident: false }] } };

/** Takes away whatever a test has left, also one that failed half-way. */
const CLEAN_UP = `
cd /sys/kernel/tracing
for switch in events/probes/*/enable; do [ -e $switch ] && echo 0 >$switch; done
echo >kprobe_events
echo 1 >/proc/sys/debug/kprobes-optimization
[ -d ${INSTANCE} ] && echo nop >${INSTANCE}/current_tracer && rmdir ${INSTANCE}
echo nop >current_tracer; echo >set_ftrace_filter; echo >trace
[ -d /sys/kernel/ksplice/${UPDATE_ID} ] && ksplice undo ${UPDATE_ID}
if [ -d /sys/kernel/livepatch/${LIVEPATCH} ]; then
  echo 0 >/sys/kernel/livepatch/${LIVEPATCH}/enabled
  i=0; while [ -d /sys/kernel/livepatch/${LIVEPATCH} ] && [ $i -lt 600 ]; do i=$((i+1)); usleep 100000; done
  rmmod ${LIVEPATCH}
fi
true`;

let vm: Vm;

beforeAll(async () => {
  vm = await bootLiveGuest([await testModuleFile(LIVEPATCH)], { cpusInTurn: true });
});

afterEach(async () => {
  await vm.run(CLEAN_UP);
  expect(await look(vm)).toEqual(untouched);
  const log = await vm.kernelLog();
  expect(judgeLog(log, [/tainting kernel with TAINT_LIVEPATCH$/]).trouble, log).toEqual([]);
});

afterAll(async () => {
  await vm?.close();
});

/** Runs a script that must succeed, as a whole. */
async function script(text: string): Promise<string> {
  return await runScript(vm, text);
}

/** `explained` of the only unit: what was found at function entries, and what belongs to somebody. */
async function explained(): Promise<Readonly<Record<string, number>>> {
  const { exitCode, json } = await guestKsplice(vm, `check ${UPDATE}`);
  expect(json).toMatchObject({ units: [{ unit: 'net/ipv4/ip_options.o', matches: true }] });
  expect(exitCode).toBe(0);
  const [{ explained: all }] = v.parse(resultSchema, json).units;
  return Object.fromEntries(Object.entries(all).filter(([what]) => /^(fentry|the )/.test(what)));
}

/** Refused, and nothing of it is left: no module, no entry, no record. */
async function expectRefused(
  verb: 'check' | 'apply',
  message: RegExp,
  modules: readonly string[] = [],
): Promise<void> {
  const { exitCode, json } = await guestKsplice(vm, `${verb} ${UPDATE}`);
  expect(json).toMatchObject({ code: 'refused', message: expect.stringMatching(message) });
  expect(exitCode).toBe(2);
  expect(await look(vm)).toEqual({ ...untouched, modules });
}

/** Loads the livepatch, and waits until every task runs the new code. */
async function loadLivepatch(name: string): Promise<void> {
  const state = `/sys/kernel/livepatch/${LIVEPATCH}/transition`;
  await script(`insmod ${testModulePath(LIVEPATCH)} function=${name} || exit 1
    i=0; until [ "$(cat ${state})" = 0 ]; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done`);
}

/** What a user is answered who asks for source routing, and how often the livepatch was called meanwhile. */
async function ask(uid: number): Promise<readonly [string, number]> {
  const calls = `cat /sys/module/${LIVEPATCH}/parameters/calls`;
  const lines = await script(`${calls}; source_route ${uid}; ${calls}`);
  const [before, answer = '', after] = lines.split('\n');
  return [answer, Number(after) - Number(before)];
}

/** What is at the place of a kprobe: a breakpoint, until the kernel has found time to make it a jump. */
type Form = 'breakpoint' | 'jump';

/**
 * Plants a kprobe at the first place of a function at or after `from` that takes this form. Only the kernel knows where
 * instructions begin, and which of them a jump may replace. Returns its name in messages.
 */
async function plantProbe(name: string, from: number, form: Form): Promise<string> {
  const place = await script(`cd /sys/kernel/tracing
    echo ${form === 'jump' ? 1 : 0} >/proc/sys/debug/kprobes-optimization
    for at in $(seq ${from} ${from + 60}); do
      echo "p:probes/one ${name}+$at" >>kprobe_events 2>/dev/null || continue
      echo 1 >events/probes/one/enable
      i=0
      while [ $i -lt 20 ]; do
        line=$(grep ' ${name}+' /sys/kernel/debug/kprobes/list)
        case "$line" in
        *OPTIMIZED*) [ ${form} = jump ] && break 2 ;;
        *) [ ${form} = breakpoint ] && break 2 ;;
        esac
        i=$((i+1)); usleep 200000
      done
      echo 0 >events/probes/one/enable
      echo -:probes/one >>kprobe_events
    done
    echo "$line" | grep -o '${name}+0x[0-9a-f]*'`);
  return `the kprobe at ${place}`;
}

async function removeProbe(): Promise<void> {
  await script(`cd /sys/kernel/tracing; echo 0 >events/probes/one/enable; echo -:probes/one >>kprobe_events`);
}

async function hits(): Promise<number> {
  return Number(await script(`awk '$1 == "one" { print $2 }' /sys/kernel/tracing/kprobe_profile`));
}

async function trace(tracer: string, folder = '.'): Promise<void> {
  await script(`cd /sys/kernel/tracing && mkdir -p ${folder} && cd ${folder} &&
    echo '${FILTER}' >set_ftrace_filter && echo ${tracer} >current_tracer`);
}

/** How often the replaced function was entered while a user asked once. */
async function entries(folder = '.'): Promise<number> {
  return Number(
    await script(`cd /sys/kernel/tracing/${folder}; echo >trace; source_route 1000 >/dev/null
      grep -cE ' ${FIXED_FUNCTION}( <-|\\()' trace`),
  );
}

describe('a livepatch', () => {
  it('of another function of the unit is named at its entry, and does not notice the update', async () => {
    await loadLivepatch(OTHER_FUNCTION);
    expect(await ask(1000)).toEqual(['ok', 1]);
    const found = { [`fentry: the livepatch ${LIVEPATCH}`]: 1, 'fentry: nop': FUNCTIONS_OF_UNIT - 1 };
    expect(await explained()).toEqual(found);
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject(applied);
    expect(await look(vm)).toEqual({ ...updated, modules: [...updated.modules, LIVEPATCH] });
    expect(await ask(0)).toEqual(['ok', 1]);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject(undone);
    expect(await ask(1000)).toEqual(['ok', 1]);
    expect(await explained()).toEqual(found);
  });

  it('of the function itself is in the way, by its name; once it is gone the update can be applied', async () => {
    await loadLivepatch(FIXED_FUNCTION);
    const message = new RegExp(`${FIXED_FUNCTION} is replaced by the livepatch ${LIVEPATCH}$`);
    await expectRefused('check', message, [LIVEPATCH]);
    await expectRefused('apply', message, [LIVEPATCH]);
    expect(await ask(1000)).toEqual(['ok', 1]);
    await script(CLEAN_UP);
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject(applied);
    expect(await look(vm)).toEqual(updated);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject(undone);
  });

  it('of the function itself that comes after the update has the entry, and the update can still be undone', async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject(applied);
    await loadLivepatch(FIXED_FUNCTION);
    // It goes on behind the entry, which is where the jump of the update is.
    expect(await ask(1000)).toEqual(['EPERM', 1]);
    expect(await guestKsplice(vm, `view ${UPDATE_ID}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ shadowed: [{ function: FIXED_FUNCTION, livepatch: LIVEPATCH }] }] },
    });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject(undone);
    expect(await ask(1000)).toEqual(['ok', 1]);
  });
});

describe('a kprobe', () => {
  it.for(['breakpoint', 'jump'] as const)(
    'in another function of the unit, a %s: named, and fires on',
    async (form) => {
      const owner = await plantProbe(OTHER_FUNCTION, SITE + 1, form);
      expect(await explained()).toEqual({ 'fentry: nop': FUNCTIONS_OF_UNIT, [owner]: 1 });
      expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject(applied);
      expect(await look(vm)).toEqual(updated);
      const before = await hits();
      expect(await script('source_route 0')).toBe('ok');
      expect(await hits()).toBe(before + 1);
      expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject(undone);
      expect(await script('source_route 1000')).toBe('ok');
      expect(await hits()).toBe(before + 2);
    },
  );

  it.for([
    ['where the update would jump', 'breakpoint', SITE],
    ['where the update would jump', 'jump', SITE],
    ['further on in the function', 'jump', SITE + 5],
  ] as const)('%s, a %s: refused, and named', async ([, form, from]) => {
    const owner = await plantProbe(FIXED_FUNCTION, from, form);
    if (from === SITE) expect(owner).toBe(`the kprobe at ${FIXED_FUNCTION}+0x5`);
    const message = new RegExp(`${owner.replace('+', '\\+')} has changed ${FIXED_FUNCTION}`);
    await expectRefused('check', message);
    await expectRefused('apply', message);
    await removeProbe();
    expect(await explained()).toEqual({ 'fentry: nop': FUNCTIONS_OF_UNIT });
  });

  it('on the jump of an applied update: it stays applied until the probe is gone', async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject(applied);
    const owner = await plantProbe(FIXED_FUNCTION, SITE, 'breakpoint');
    expect(await look(vm)).toEqual(updated);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({
      exitCode: 5,
      json: { code: 'code_busy', message: expect.stringContaining(owner) },
    });
    expect(await look(vm)).toEqual(updated);
    await removeProbe();
    expect(await look(vm)).toEqual(updated);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject(undone);
  });
});

describe('tracing all functions of the unit', () => {
  it('by one tracer, which has a trampoline, and by two, which share the way in', async () => {
    await trace('function');
    expect(await explained()).toEqual({ 'fentry: trampoline of ftrace': FUNCTIONS_OF_UNIT });
    await trace('function', INSTANCE);
    expect(await explained()).toEqual({ 'fentry: traced': FUNCTIONS_OF_UNIT });
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject(applied);
    expect(await look(vm)).toEqual(updated);
    expect([await entries(), await entries(INSTANCE)]).toEqual([1, 1]);
    // The entry of the replaced function is rewritten under the update, and back.
    await script(`cd /sys/kernel/tracing; echo nop >${INSTANCE}/current_tracer; rmdir ${INSTANCE}`);
    expect(await entries()).toBe(1);
    await script('echo nop >/sys/kernel/tracing/current_tracer');
    expect(await look(vm)).toEqual(updated);
    await trace('function');
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject(undone);
    expect(await entries()).toBe(1);
    await script('echo nop >/sys/kernel/tracing/current_tracer');
    expect(await explained()).toEqual({ 'fentry: nop': FUNCTIONS_OF_UNIT });
  });

  it('by the function graph tracer, which holds return addresses', async () => {
    await trace('function_graph');
    expect(await explained()).toEqual({ 'fentry: trampoline of ftrace': FUNCTIONS_OF_UNIT });
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject(applied);
    expect(await look(vm)).toEqual(updated);
    expect(await entries()).toBe(1);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject(undone);
    expect(await entries()).toBe(1);
  });
});
