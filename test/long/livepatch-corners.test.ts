/**
 * The livepatch engine where it has something to decide: code of modules, several updates at once, updates that stay loaded,
 * hooks that refuse, tasks that hold a transition up, and people who interrupt one. What it takes is printed.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { patchFile } from '../support/case/read-cases.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import {
  bootLiveGuest,
  expectUndone,
  guestKsplice,
  look,
  UPDATE,
  untouched,
} from '../support/live/live-guest.ts';
import { editedUpdate, type MadeUpdate, madeUpdate } from '../support/live/made-update.ts';
import { FIXED_FUNCTION, FIXED_SOURCE, fixPatch, UPDATE_ID } from '../support/live/update-file.ts';
import type { GuestFile } from '../support/vm/initramfs.ts';
import { runScript } from '../support/vm/run-script.ts';
import { TEST_RELEASE, testCacheDir, testImage, testModule } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const LIVEPATCH = 'apply --engine livepatch';
const NETWORK_MODULES = ['llc', 'stp', 'garp', 'mrp', '8021q'];
const LOAD_8021Q = `for name in ${NETWORK_MODULES.join(' ')}; do insmod /root/$name.ko || exit 1; done`;
const UNLOAD_8021Q = `for name in ${NETWORK_MODULES.toReversed().join(' ')}; do rmmod $name || exit 1; done`;
/** What the module update makes of the first line. */
const NEW_HEADING = /^VLAN dev name, garp_request_leave \[garp\]$/m;
const RUNS = 5;

/** In ip_options_undo(). */
const UNDONE = 'if (opt->rr_needaddr) {\n\t\tunsigned char';
const REFUSING_HOOK = `
#include <ksplice-patch.h>
static int hook_before(void)
{
	printk("corner: before\\n");
	return -EPERM;
}
ksplice_pre_apply(hook_before);
static void hook_failed(void)
{
	printk("corner: given up\\n");
}
ksplice_fail_apply(hook_failed);
`;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** A number of the first update of a result. */
function figure(json: unknown, ...names: readonly string[]): number {
  let at: unknown = json;
  for (const name of ['updates', '0', ...names]) {
    at =
      typeof at === 'object' && at !== null
        ? Object.entries(at).find(([key]) => key === name)?.[1]
        : undefined;
  }
  if (typeof at !== 'number') throw new Error(`${names.join('.')}: ${JSON.stringify(json)}`);
  return at;
}

describe('the livepatch engine', () => {
  let folder: string;
  let vm: Vm;

  async function ofPatch(id: string, patch: string): Promise<MadeUpdate> {
    const file = join(folder, `${id}.patch`);
    await writeFile(file, patch);
    return await madeUpdate(folder, id, file);
  }

  async function ofCase(name: string): Promise<MadeUpdate> {
    return await madeUpdate(folder, name.replaceAll('-', '_'), patchFile(name, 'fix.patch'));
  }

  /** Another function of the unit, with a hook that refuses. */
  async function refusing(): Promise<MadeUpdate> {
    return await editedUpdate(folder, {
      id: 'refusing',
      source: FIXED_SOURCE,
      change: [UNDONE, UNDONE.replace('rr_needaddr', 'rr_needaddr && opt->rr')],
      append: REFUSING_HOOK,
    });
  }

  async function linked(update: MadeUpdate): Promise<GuestFile> {
    const { modules } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir(), parts: ['image'] });
    const from = join(folder, 'linked.ko');
    const argv = ['link', update.from, '--image', await testImage(), '--modules', modules, '-o', from];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), argv, folder);
    expect(exitCode, stderr).toBe(0);
    return { path: '/root/linked.ko', from };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-corners-'));
    const ofModule = await ofCase('module');
    const files = [
      ofModule,
      await linked(ofModule),
      await ofCase('escaping-function'),
      await refusing(),
      await ofPatch('same_function', await fixPatch()),
    ];
    for (const name of NETWORK_MODULES)
      files.push({ path: `/root/${name}.ko`, from: await testModule(name) });
    vm = await bootLiveGuest(files);
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function script(text: string): Promise<string> {
    return await runScript(vm, text);
  }

  /** Until a shell condition holds; a minute at most. */
  async function until(condition: string): Promise<void> {
    await script(`i=0; until ${condition}; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done`);
  }

  it('replaces a function of a module, which must be loaded and stays so', async () => {
    expect(await guestKsplice(vm, `${LIVEPATCH} /root/module.ksplice`)).toMatchObject({
      exitCode: 69,
      json: { code: 'target_not_loaded' },
    });
    await script(LOAD_8021Q);
    expect(await guestKsplice(vm, `${LIVEPATCH} /root/module.ksplice`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ engine: 'livepatch', functions: ['vlan_seq_show'] }] },
    });
    expect(await script('head -n 1 /proc/net/vlan/config')).toMatch(NEW_HEADING);
    expect((await vm.run('rmmod 8021q')).exitCode).not.toBe(0);
    expect(await guestKsplice(vm, 'undo module')).toMatchObject({ exitCode: 0 });
    expect(await script('head -n 1 /proc/net/vlan/config')).toMatch(/^VLAN Dev name/);
    await script(UNLOAD_8021Q);
    expect(await look(vm)).toEqual(untouched);
  });

  it('does so in a module that was linked at rest, wherever the other module lies', async () => {
    expect((await vm.run('insmod /root/linked.ko')).exitCode).not.toBe(0);
    expect(await script('dmesg | tail -n 3')).toContain('ksplice: module: the module ');
    expect(await look(vm)).toEqual(untouched);
    await script(LOAD_8021Q);
    await script('insmod /root/linked.ko');
    await until('[ "$(cat /sys/kernel/livepatch/ksplice_module/transition)" = 0 ]');
    expect(await script('head -n 1 /proc/net/vlan/config')).toMatch(NEW_HEADING);
    expect((await vm.run('rmmod 8021q')).exitCode).not.toBe(0);
    expect(await guestKsplice(vm, 'undo module')).toMatchObject({ exitCode: 0 });
    expect(await script('head -n 1 /proc/net/vlan/config')).toMatch(/^VLAN Dev name/);
    await script(UNLOAD_8021Q);
    expect(await look(vm)).toEqual(untouched);
  });

  it('is refused by a hook, and by the function of another update; those before it are undone', async () => {
    expect(await guestKsplice(vm, `${LIVEPATCH} ${UPDATE} /root/refusing.ksplice`)).toMatchObject({
      exitCode: 2,
      json: { code: 'call_failed', message: expect.stringContaining('hook_before') },
    });
    expect(await script("dmesg | grep -o 'corner: .*'")).toBe('corner: before\ncorner: given up');
    expect(await look(vm)).toEqual(untouched);

    expect(await guestKsplice(vm, `${LIVEPATCH} ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `${LIVEPATCH} /root/same_function.ksplice`)).toMatchObject({
      exitCode: 2,
      json: { message: expect.stringContaining(FIXED_FUNCTION), hint: expect.stringContaining(UPDATE_ID) },
    });
    await expectUndone(vm);
  });

  it('interrupted while a task holds the transition up, it leaves the kernel as it was', async () => {
    const stuck = await vm.start('exec stuck_in_options');
    await until('grep -q stuck /run/vm/background-*.out');
    const apply = await vm.start(`exec ksplice ${LIVEPATCH} ${UPDATE} --json`);
    await until(`[ "$(cat /sys/kernel/livepatch/ksplice_${UPDATE_ID}/transition 2>/dev/null)" = 1 ]`);
    apply.kill('SIGINT');
    const { exitCode, stdout } = await apply.wait();
    expect(exitCode).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({ code: 'interrupted' });
    expect(await look(vm)).toMatchObject({ modules: [], leftovers: [], trouble: [] });

    // Held up again, and let go: it names the task, and succeeds.
    const patient = await vm.start(`exec ksplice ${LIVEPATCH} ${UPDATE} --json`);
    await until('grep -q stuck_in_option /run/vm/background-*.err');
    stuck.kill('SIGKILL');
    await stuck.wait();
    const done = await patient.wait();
    expect(done.exitCode, done.stderr).toBe(0);
    expect(done.stderr).toMatch(new RegExp(`1 tasks? left: stuck_in_option.*${FIXED_FUNCTION}`));
    await expectUndone(vm);
  });

  it('takes so long, beside what the jump engine takes', async () => {
    const load = await vm.start('while :; do :; done & while :; do find / -xdev >/dev/null; done');
    const took = { transition: [0], back: [0], stop: [0], stopBack: [0] };
    for (const list of Object.values(took)) list.length = 0;
    for (let run = 0; run < RUNS; run += 1) {
      took.transition.push(figure((await guestKsplice(vm, `${LIVEPATCH} ${UPDATE}`)).json, 'transitionMs'));
      took.back.push(figure((await guestKsplice(vm, `undo ${UPDATE_ID}`)).json, 'transitionMs'));
      took.stop.push(figure((await guestKsplice(vm, `apply ${UPDATE}`)).json, 'timing', 'stoppedNs') / 1e6);
      took.stopBack.push(
        figure((await guestKsplice(vm, `undo ${UPDATE_ID}`)).json, 'timing', 'stoppedNs') / 1e6,
      );
    }
    load.kill('SIGKILL');
    for (const [name, values] of Object.entries(took)) {
      process.stdout.write(
        `${name}: ${median(values).toFixed(2)} ms (${values.map((each) => each.toFixed(2)).join(' ')})\n`,
      );
    }
    expect(await look(vm)).toEqual(untouched);
  });

  it('does not apply an update again whose module had to stay, and says so', async () => {
    const id = 'escaping_function';
    expect(await guestKsplice(vm, `${LIVEPATCH} /root/${id}.ksplice`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `undo ${id}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ engine: 'livepatch', resident: true }] },
    });
    expect(await script('tail -n 1 /proc/uptime')).not.toContain('longest');
    expect(await guestKsplice(vm, 'view')).toMatchObject({ json: { updates: [{ id, stage: 'reversed' }] } });
    // Not even by hand is it unloaded: an address of it may have been kept.
    expect((await vm.run(`rmmod ksplice_${id}`)).exitCode).not.toBe(0);
    for (const engine of ['livepatch', 'jump']) {
      expect(await guestKsplice(vm, `apply --engine ${engine} /root/${id}.ksplice`), engine).toMatchObject({
        exitCode: 2,
        json: { code: 'id_taken' },
      });
    }
    expect(await look(vm)).toMatchObject({ modules: [`ksplice_${id}`], trouble: [] });
  });
});
