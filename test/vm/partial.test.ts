/**
 * Updates of a module that is not loaded, on an unmodified kernel: what modprobe loads before, while it is applied and after,
 * and that a machine on which it cannot be done is as it was.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guestKsplice, untouched, updated } from '../support/live/live-guest.ts';
import {
  ALONE,
  apply,
  bootPartialGuest,
  dyingAt,
  fixedFile,
  KERNEL_FUNCTION,
  lookAtModules,
  MIXED,
  MODULE,
  MODULE_FUNCTION,
  moduleAnswer,
  ORIGINAL,
  type PartialState,
  TREE,
  unloadModules,
} from '../support/live/partial-guest.ts';
import type { Vm } from '../support/vm/vm.ts';

const OLD = 'VLAN Dev name';
const FIXED = 'VLAN dev name';

let vm: Vm;

beforeAll(async () => {
  vm = await bootPartialGuest();
});

afterAll(async () => {
  await vm?.close();
});

function filesOf(id: string): readonly string[] {
  const directory = `updates/ksplice/${id}`;
  return ['updates', 'updates/ksplice', directory, `${directory}/${MODULE}.ko`, `${directory}/manifest.json`];
}

const before: PartialState = { ...untouched, first: `kernel/net/${MODULE}.ko`, files: [] };
const applied: PartialState = {
  ...updated,
  modules: [`ksplice_${MIXED}`, 'ksplice'],
  entries: [`${MIXED} applied`],
  leftovers: [MIXED],
  first: `updates/ksplice/${MIXED}/${MODULE}.ko`,
  files: filesOf(MIXED),
};

describe('an update of the kernel and of a module that is not loaded', () => {
  it('is refused unless it is asked for: 69', async () => {
    const { exitCode, json } = await apply(vm, MIXED, '');
    expect(json).toMatchObject({
      code: 'target_not_loaded',
      message: expect.stringContaining(`the module ${MODULE} is not loaded`),
      hint: expect.stringContaining('--partial'),
    });
    expect(exitCode).toBe(69);
    expect(await lookAtModules(vm)).toEqual(before);
  });

  it('is applied without the module, and modprobe then loads the fixed one', async () => {
    const { exitCode, json } = await apply(vm, MIXED);
    expect(json).toMatchObject({
      updates: [{ functions: [KERNEL_FUNCTION], skipped: [MODULE], installed: [fixedFile(MIXED)] }],
    });
    expect(exitCode).toBe(0);
    expect(await lookAtModules(vm)).toEqual(applied);
    expect((await vm.run(`modprobe ${MODULE}`)).exitCode).toBe(0);
    expect(await moduleAnswer(vm)).toBe(FIXED);
    const view = await guestKsplice(vm, `view ${MIXED}`);
    expect(view.json).toMatchObject({
      updates: [
        { modules: [{ name: MODULE, file: fixedFile(MIXED), isFirst: true, loaded: 'fixed', stale: null }] },
      ],
    });
  });

  it('is not undone while the fixed module is loaded: 5', async () => {
    const { exitCode, json } = await guestKsplice(vm, `undo ${MIXED}`);
    expect(json).toMatchObject({ code: 'cold_update_loaded', hint: expect.stringContaining('modprobe -r') });
    expect(exitCode).toBe(5);
    // What the tool looks at first, the core looks at, too.
    const { exitCode: status } = await vm.run(`echo reversed > /sys/kernel/ksplice/${MIXED}/stage`);
    expect(status).not.toBe(0);
    const cause = await vm.run(`cat /sys/kernel/ksplice/${MIXED}/abort_cause`);
    expect(cause.stdout).toBe('cold_update_loaded\n');
    await unloadModules(vm);
    expect(await lookAtModules(vm)).toEqual(applied);
  });

  it('lets nobody load the old module while it is applied', async () => {
    await vm.run('modprobe -a garp mrp');
    const { exitCode, stderr } = await vm.run(`insmod ${ORIGINAL}`);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('resource busy');
    const log = await vm.run('dmesg | tail -3');
    expect(log.stdout).toContain(`${MIXED}: module ${MODULE} not loaded: it is not the fixed one`);
    await vm.run('modprobe -r garp mrp');
    expect(await lookAtModules(vm)).toEqual(applied);
  });

  it('is undone in both places, and the old module loads again', async () => {
    const { exitCode, json } = await guestKsplice(vm, `undo ${MIXED}`);
    expect(json).toMatchObject({ updates: [{ functions: [KERNEL_FUNCTION], removed: [fixedFile(MIXED)] }] });
    expect(exitCode).toBe(0);
    expect(await lookAtModules(vm)).toEqual(before);
    await vm.run(`modprobe ${MODULE}`);
    expect(await moduleAnswer(vm)).toBe(OLD);
    await unloadModules(vm);
  });

  it('is applied in memory to the module where that is loaded, and installs nothing', async () => {
    await vm.run(`modprobe ${MODULE}`);
    const { json } = await apply(vm, MIXED);
    expect(json).toMatchObject({
      updates: [{ functions: [MODULE_FUNCTION, KERNEL_FUNCTION], skipped: [], installed: [] }],
    });
    expect(await moduleAnswer(vm)).toBe(FIXED);
    expect((await lookAtModules(vm)).files).toEqual([]);
    await guestKsplice(vm, `undo ${MIXED}`);
    await unloadModules(vm);
    expect(await lookAtModules(vm)).toEqual(before);
  });
});

describe('a module that is loaded between the check and the switch', () => {
  it('is noticed, and everything is as before: 5', async () => {
    const running = await vm.start(
      `${dyingAt('before switch', 'SIGSTOP')} ksplice apply --partial /root/${MIXED}.ksplice --json`,
    );
    const stopped = 'i=0; until grep -q "State:.T" /proc/$(pidof node)/status';
    await vm.run(`${stopped}; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done`, {
      timeoutMs: 120_000,
    });
    expect((await lookAtModules(vm)).files).toEqual(filesOf(MIXED));
    expect((await vm.run(`modprobe -a garp mrp && insmod ${ORIGINAL}`)).exitCode).toBe(0);
    await vm.run('kill -CONT $(pidof node)');
    const { exitCode, stdout } = await running.wait();
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'module_busy',
      message: expect.stringContaining(`the module ${MODULE} was loaded meanwhile`),
    });
    expect(exitCode).toBe(5);
    expect(await moduleAnswer(vm)).toBe(OLD);
    await unloadModules(vm);
    expect(await lookAtModules(vm)).toEqual(before);
  });
});

describe('a machine whose modules cannot be written', () => {
  it('is as it was: 69', async () => {
    const mount = [
      `cp -a ${TREE} /tmp/tree`,
      `mount -t tmpfs none ${TREE}`,
      `cp -a /tmp/tree/. ${TREE}/`,
      `mount -o remount,ro ${TREE}`,
    ];
    expect((await vm.run(mount.join(' && '))).exitCode).toBe(0);
    const { exitCode, json } = await apply(vm, MIXED);
    expect(json).toMatchObject({ code: 'modules_not_writable', details: { errno: 'EROFS' } });
    expect(exitCode).toBe(69);
    expect(await lookAtModules(vm)).toEqual(before);
    await vm.run(`umount ${TREE}; rm -rf /tmp/tree`);
  });
});

describe('an update of nothing but a module that is not loaded', () => {
  it('is installed, loads, and outlives what the core knows', async () => {
    const { exitCode, json } = await apply(vm, ALONE);
    expect(json).toMatchObject({
      updates: [{ functions: [], skipped: [MODULE], installed: [fixedFile(ALONE)] }],
    });
    expect(exitCode).toBe(0);
    const installed = {
      ...before,
      first: `updates/ksplice/${ALONE}/${MODULE}.ko`,
      files: filesOf(ALONE),
    };
    expect(await lookAtModules(vm)).toEqual(installed);
    await vm.run(`modprobe ${MODULE}`);
    expect(await moduleAnswer(vm)).toBe(FIXED);
    const view = await guestKsplice(vm, 'view');
    expect(view.json).toMatchObject({
      updates: [{ id: ALONE, stage: 'installed', modules: [{ isFirst: true, loaded: 'fixed' }] }],
    });
  });

  it('is in the way of another that has the module: 5', async () => {
    await unloadModules(vm);
    const { exitCode, json } = await apply(vm, MIXED);
    expect(json).toMatchObject({
      code: 'module_busy',
      hint: expect.stringContaining(`ksplice undo ${ALONE}`),
    });
    expect(exitCode).toBe(5);
  });

  it('is what the update needs no more where the fixed module is loaded already, as after a reboot', async () => {
    await vm.run(`modprobe ${MODULE}`);
    const again = await apply(vm, ALONE, '');
    expect(again.json).toMatchObject({
      updates: [{ alreadyApplied: true, skipped: [MODULE], installed: [] }],
    });
    expect(again.exitCode).toBe(0);
  });

  it('is undone: the file goes, the loaded module stays until it is unloaded', async () => {
    const { exitCode, json } = await guestKsplice(vm, `undo ${ALONE}`);
    expect(json).toMatchObject({
      updates: [{ id: ALONE, removed: [fixedFile(ALONE)], stillLoaded: [MODULE] }],
    });
    expect(exitCode).toBe(0);
    expect(await moduleAnswer(vm)).toBe(FIXED);
    await unloadModules(vm);
    expect(await lookAtModules(vm)).toEqual(before);
  });
});
