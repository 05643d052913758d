/** Updates on top of one another: each is made against the source that those below it have patched, and replaces their code. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bootLiveGuest, guestKsplice, UPDATE } from '../support/live/live-guest.ts';
import { type MadeUpdate, madePath, madeUpdate } from '../support/live/made-update.ts';
import { appliedUpdates, expectOneStop, loadedModules, takeLog } from '../support/live/many-updates.ts';
import { UPDATE_ID } from '../support/live/update-file.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import { testCacheDir } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

/** Made in this order, from the patches in `stacking/`. */
const IDS = ['stacked_first', 'stacked_second', 'stacked_third'] as const;
/** Version of the package that the test kernel comes from. */
const TEST_VERSION = '6.1.170-3';
const KILL_AT = '/opt/kill-at.cjs';

describe('updates', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-stacked-'));
    const stack: MadeUpdate[] = [];
    for (const id of IDS) {
      const on = stack.flatMap((below) => ['--on', below.from]);
      const patch = fileURLToPath(new URL(`stacking/${id.replace('stacked_', '')}.patch`, import.meta.url));
      stack.push(await madeUpdate(folder, id, patch, on));
    }
    const killAt = fileURLToPath(new URL('../support/live/kill-at.cjs', import.meta.url));
    const probe = { path: '/bin/probe', from: await compileGuest('probe', testCacheDir()), mode: 0o755 };
    vm = await bootLiveGuest([...stack, { path: KILL_AT, from: killAt }, probe]);
  });

  afterEach(async () => {
    await takeLog(vm);
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The marks on a new inode's number: 30 of the first update, 29 of the second, 28 of the third. */
  async function marks(): Promise<readonly number[]> {
    const { stdout } = await vm.run('for i in 1 2 3 4 5 6 7 8 9 10 11; do probe inodes; done | tail -n 1');
    const number = Number(stdout.trim());
    expect(number).toBeGreaterThan(0);
    return [30, 29, 28].filter((bit) => (number & (1 << bit)) !== 0);
  }

  it('on top of one another replace the code of those below, and find what these brought', async () => {
    const [first, second, third] = IDS;
    // An update whose base is missing is refused, and says which.
    expect(await guestKsplice(vm, `apply ${madePath(second)}`)).toMatchObject({
      exitCode: 69,
      json: { code: 'update_not_applied', message: expect.stringContaining(`on top of ${first}`) },
    });
    expect(await marks()).toEqual([]);

    // The second has no counter of its own: what it marks shows that it reads the first one's.
    expect(await guestKsplice(vm, `apply ${madePath(first)}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([30]);
    expect(await guestKsplice(vm, `check ${madePath(second)}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `apply ${madePath(second)}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ functions: ['mark_ino'] }] },
    });
    expect(await marks()).toEqual([29]);
    // Above both: its function is the first one's, and calls what the second has replaced.
    expect(await guestKsplice(vm, `apply ${madePath(third)}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([29, 28]);
    expect(await guestKsplice(vm, 'uname')).toMatchObject({
      json: { version: TEST_VERSION, updates: IDS, cves: [], shadowed: [] },
    });
    expect((await vm.run('ksplice uname')).stdout).toBe(`${[TEST_VERSION, ...IDS].join('+')}\n`);
    const metrics = (await vm.run('ksplice metrics')).stdout;
    expect(metrics).toContain('ksplice_updates{stage="applied"} 3\n');
    expect(metrics).toContain(`ksplice_update_functions{id="${third}"} 1\n`);
    expect(await guestKsplice(vm, 'doctor --for apply')).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, 'view')).toMatchObject({
      json: {
        updates: expect.arrayContaining([
          expect.objectContaining({ id: third, stage: 'applied', on: [first, second] }),
        ]),
      },
    });
  });

  it('on top of one another are undone from the top, and who is on top is named', async () => {
    const [first, second, third] = IDS;
    expect(await guestKsplice(vm, `undo ${first}`)).toMatchObject({
      exitCode: 5,
      json: {
        code: 'module_busy',
        hint: `undo that first: ksplice undo ${third} ${second} ${first}`,
        details: { above: [third, second] },
      },
    });
    // The core keeps the order by itself.
    const stage = `/sys/kernel/ksplice/${first}`;
    const { stdout } = await vm.run(`echo reversed >${stage}/stage; cat ${stage}/stage ${stage}/abort_cause`);
    expect(stdout).toBe('applied\nmodule_busy\n');
    expect((await vm.run(`rmmod ksplice_${first}`)).exitCode).not.toBe(0);
    expect(await marks()).toEqual([29, 28]);

    expect(await guestKsplice(vm, `undo ${third}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([29]);
    expect(await guestKsplice(vm, `undo ${second}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([30]);
    expect(await guestKsplice(vm, `undo ${first}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([]);
    expect(await loadedModules(vm)).toEqual([]);
  });

  it('on top of one another are applied in one stop, and undone in one', async () => {
    const applied = await guestKsplice(vm, `apply ${IDS.map(madePath).join(' ')}`);
    expect(applied, applied.stderr).toMatchObject({ exitCode: 0 });
    expectOneStop(applied.json, 3);
    // A new counter: the first update has not counted, the second does not count.
    expect(await marks()).toEqual([28]);
    // The lower one cannot go first; nothing of either is undone.
    expect(await guestKsplice(vm, `undo ${IDS.join(' ')}`)).toMatchObject({
      exitCode: 5,
      json: { code: 'module_busy', details: { id: IDS[0] } },
    });
    expect(await marks()).toEqual([28]);
    const undone = await guestKsplice(vm, `undo ${IDS.toReversed().join(' ')}`);
    expect(undone, undone.stderr).toMatchObject({ exitCode: 0 });
    expectOneStop(undone.json, 3);
    expect(await marks()).toEqual([]);
    expect(await loadedModules(vm)).toEqual([]);
  });

  it('in one command, killed before the switch or after it, are all not applied or all applied', async () => {
    const [first, second, third] = IDS;
    const dyingAt = (place: string): { readonly before: string } => ({
      before: `KSPLICE_TEST_KILL='${place}' NODE_OPTIONS='--require ${KILL_AT}'`,
    });
    const all = IDS.map(madePath).join(' ');
    expect(await guestKsplice(vm, `apply ${all}`, dyingAt('before switch'))).toMatchObject({ exitCode: 137 });
    expect(await marks()).toEqual([]);
    expect(await appliedUpdates(vm)).toEqual([]);
    // What is left of the others holds the first one's module, and goes with what is left of the first.
    expect(await guestKsplice(vm, `apply ${madePath(first)}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ recovered: 'leftovers' }] },
    });
    expect((await vm.run('lsmod')).stdout).not.toContain(`ksplice_${second}`);
    // Those that are applied stay so, and the others join them.
    expect(await guestKsplice(vm, `apply ${all}`, dyingAt('before done'))).toMatchObject({ exitCode: 137 });
    expect(await appliedUpdates(vm)).toEqual(IDS.toSorted());
    expect(await guestKsplice(vm, `apply ${all}`)).toMatchObject({
      exitCode: 0,
      json: { updates: IDS.map((id) => ({ id, alreadyApplied: true })) },
    });
    expect(await guestKsplice(vm, `undo ${third} ${second} ${first}`)).toMatchObject({ exitCode: 0 });
    expect(await loadedModules(vm)).toEqual([]);
  });

  it('are all left out when one cannot be applied, and what was applied before stays', async () => {
    const [first, , third] = IDS;
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    // Its base is missing: found when the first is loaded already.
    expect(await guestKsplice(vm, `apply ${madePath(first)} ${UPDATE} ${madePath(third)}`)).toMatchObject({
      exitCode: 69,
      json: { code: 'update_not_applied' },
    });
    expect(await appliedUpdates(vm)).toEqual([UPDATE_ID]);
    expect((await vm.run('ls /run/ksplice')).stdout.trim().split('\n')).not.toContain(first);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await loadedModules(vm)).toEqual([]);
  });

  it('that are installed are applied in their order at boot, and held back after a crash that followed', async () => {
    const [first, second] = IDS;
    expect(await guestKsplice(vm, `install ${madePath(second)}`)).toMatchObject({
      exitCode: 69,
      json: { code: 'update_not_installed', details: { below: first } },
    });
    expect(await guestKsplice(vm, `install ${madePath(second)} ${madePath(first)}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: first, outcome: 'installed' }, { id: second }] },
    });
    expect(await marks()).toEqual([]);
    expect(await guestKsplice(vm, 'boot status')).toMatchObject({ exitCode: 69 });
    expect(await guestKsplice(vm, 'boot apply')).toMatchObject({
      exitCode: 0,
      json: { applied: [{ id: first }, { id: second }], failed: [] },
    });
    expect(await appliedUpdates(vm)).toEqual([first, second]);
    // boot.json, and the directory of what is installed: root's alone.
    const modes = (await vm.run('ls -ln /var/lib/ksplice | sed 1d | cut -c1-10')).stdout;
    expect(modes).toBe('-rw-------\ndrwx------\n');

    expect((await vm.run(`ksplice undo ${second} ${first}`)).stderr).toContain(`ksplice uninstall ${first}`);
    // What a boot finds whose machine went down: a boot before it, of another number, is still being tried.
    await vm.run(`sed -i 's/"boot": .*/"boot": "another",/' /var/lib/ksplice/boot.json`);
    expect(await guestKsplice(vm, 'boot apply')).toMatchObject({
      exitCode: 2,
      json: { code: 'held_back', details: { updates: [first, second] } },
    });
    expect(await guestKsplice(vm, 'boot status')).toMatchObject({ exitCode: 2, json: { code: 'held_back' } });
    expect(await appliedUpdates(vm)).toEqual([]);
    // With less of it, it is another thing that is tried.
    expect(await guestKsplice(vm, `uninstall ${first}`)).toMatchObject({ exitCode: 5 });
    expect(await guestKsplice(vm, `uninstall ${second}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, 'boot apply')).toMatchObject({
      exitCode: 0,
      json: { applied: [{ id: first }] },
    });
    expect(await marks()).toEqual([30]);
    expect(await guestKsplice(vm, 'boot good')).toMatchObject({ exitCode: 0, json: { changed: true } });
    expect(await guestKsplice(vm, `undo ${first}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `uninstall ${first}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, 'view')).toMatchObject({ json: { updates: [], elsewhere: [] } });
  });
});
