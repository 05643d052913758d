/**
 * Several updates of one unit: beside one another, where the second finds the jump of the first in the code that it has
 * to match; and on top of one another, where it replaces the first one's code.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { bootLiveGuest, guestKsplice, UPDATE } from '../support/live/live-guest.ts';
import { hooksCalled, REFUSE_AT, type Side, togetherPatch } from '../support/live/together.ts';
import { FIXED_FUNCTION, FIXED_SOURCE, fixPatch, UPDATE_ID } from '../support/live/update-file.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const SECOND = 'second';
const SECOND_UPDATE = `/root/${SECOND}.ksplice`;
/** The fix once more, by another name. */
const TWIN_UPDATE = '/root/twin.ksplice';
/** Version of the package that the test kernel comes from. */
const TEST_VERSION = '6.1.170-3';
const OTHER_FUNCTION = 'ip_options_undo';

/** A change of another function than the fix changes, in the same file. */
async function secondPatch(): Promise<string> {
  const { source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  const before = await readFile(join(source, FIXED_SOURCE), 'utf8');
  const after = before.replace('if (opt->rr_needaddr) {', 'if (opt->rr_needaddr && opt->rr) {');
  expect(after).not.toBe(before);
  return createTwoFilesPatch(`a/${FIXED_SOURCE}`, `b/${FIXED_SOURCE}`, before, after);
}

/** Made on top of one another, in this order, from the patches of these names in `stacking/`. */
const STACK = ['first', 'second', 'third'] as const;
const fileOf = (id: string): string => `/root/${id}.ksplice`;

/** Independent of one another, in one unit. */
const SIDES: readonly Side[] = ['left', 'right'];
const BOTH = SIDES.map(fileOf).join(' ');
const KILL_AT = '/opt/kill-at.cjs';

describe('several updates', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-two-'));
    const [patch, file] = [join(folder, 'second.patch'), join(folder, `${SECOND}.ksplice`)];
    await writeFile(patch, await secondPatch());
    const create = ['create', '--patch', patch, '--kernel', TEST_RELEASE, '--id', SECOND, '-o', file];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), create, folder);
    expect(exitCode, stderr).toBe(0);
    const [fix, twin] = [join(folder, 'fix.patch'), join(folder, 'twin.ksplice')];
    await writeFile(fix, await fixPatch());
    const copy = ['create', '--patch', fix, '--kernel', TEST_RELEASE, '--id', 'twin', '-o', twin];
    expect((await hostKsplice(await hostBundle(), copy, folder)).exitCode).toBe(0);
    const stack: { readonly path: string; readonly from: string }[] = [];
    for (const id of STACK) {
      const from = join(folder, `stacked-${id}.ksplice`);
      const on = stack.flatMap((below) => ['--on', below.from]);
      const source = new URL(`stacking/${id}.patch`, import.meta.url).pathname;
      const argv = ['create', '--patch', source, '--kernel', TEST_RELEASE, '--id', `stacked_${id}`, ...on];
      const made = await hostKsplice(await hostBundle(), [...argv, '-o', from], folder);
      expect(made.exitCode, made.stderr).toBe(0);
      stack.push({ path: fileOf(`stacked_${id}`), from });
    }
    for (const side of SIDES) {
      const [from, path] = [join(folder, `${side}.ksplice`), join(folder, `${side}.patch`)];
      await writeFile(path, await togetherPatch(side));
      const argv = ['create', '--patch', path, '--kernel', TEST_RELEASE, '--id', side, '-o', from];
      const made = await hostKsplice(await hostBundle(), argv, folder);
      expect(made.exitCode, made.stderr).toBe(0);
      stack.push({ path: fileOf(side), from });
    }
    const killAt = new URL('../support/live/kill-at.cjs', import.meta.url).pathname;
    stack.push({ path: KILL_AT, from: killAt });
    const probe = { path: '/bin/probe', from: await compileGuest('probe', testCacheDir()), mode: 0o755 };
    vm = await bootLiveGuest([
      { path: SECOND_UPDATE, from: file },
      { path: TWIN_UPDATE, from: twin },
      ...stack,
      probe,
    ]);
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function applied(): Promise<readonly string[]> {
    return (await vm.run('cd /sys/kernel/ksplice 2>/dev/null && grep -l applied */stage')).stdout
      .trim()
      .split('\n')
      .map((path) => path.replace('/stage', ''))
      .toSorted();
  }

  it('of two functions of a unit are applied and undone in any order, and know each other by name', async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `check ${SECOND_UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { units: [{ explained: { [`the update ${UPDATE_ID}`]: 1 } }] },
    });
    expect(await guestKsplice(vm, `apply ${SECOND_UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ functions: [OTHER_FUNCTION] }] },
    });
    expect(await applied()).toEqual([UPDATE_ID, SECOND]);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await applied()).toEqual([SECOND]);
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `undo ${SECOND}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect((await vm.run('lsmod | grep -c ksplice')).stdout.trim()).toBe('0');
  });

  it('of the same function: the second is refused, and the first is named', async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    const message = expect.stringContaining(`${UPDATE_ID} has changed ${FIXED_FUNCTION}`);
    for (const command of ['check', 'apply']) {
      expect(await guestKsplice(vm, `${command} ${TWIN_UPDATE}`)).toMatchObject({
        exitCode: 5,
        json: { code: 'module_busy', message },
      });
    }
    expect(await applied()).toEqual([UPDATE_ID]);
    expect(await guestKsplice(vm, `check ${UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { alreadyApplied: true },
    });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
  });

  /** The marks on a new inode's number: 30 of the first update, 29 of the second, 28 of the third. */
  async function marks(): Promise<readonly number[]> {
    const { stdout } = await vm.run('for i in 1 2 3 4 5 6 7 8 9 10 11; do probe inodes; done | tail -n 1');
    const number = Number(stdout.trim());
    expect(number).toBeGreaterThan(0);
    return [30, 29, 28].filter((bit) => (number & (1 << bit)) !== 0);
  }

  it('on top of one another replace the code of those below, and find what these brought', async () => {
    const [first, second, third] = STACK.map((id) => `stacked_${id}`);
    // An update whose base is missing is refused, and says which.
    expect(await guestKsplice(vm, `apply ${fileOf(`${second}`)}`)).toMatchObject({
      exitCode: 69,
      json: { code: 'update_not_applied', message: expect.stringContaining(`on top of ${first}`) },
    });
    expect(await marks()).toEqual([]);

    // The second has no counter of its own: what it marks shows that it reads the first one's.
    expect(await guestKsplice(vm, `apply ${fileOf(`${first}`)}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([30]);
    expect(await guestKsplice(vm, `check ${fileOf(`${second}`)}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `apply ${fileOf(`${second}`)}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ functions: ['mark_ino'] }] },
    });
    expect(await marks()).toEqual([29]);
    // Above both: its function is the first one's, and calls what the second has replaced.
    expect(await guestKsplice(vm, `apply ${fileOf(`${third}`)}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([29, 28]);
    const ids = [first, second, third];
    expect(await guestKsplice(vm, 'uname')).toMatchObject({
      json: { version: TEST_VERSION, updates: ids, cves: [], shadowed: [] },
    });
    expect((await vm.run('ksplice uname')).stdout).toBe(`${[TEST_VERSION, ...ids].join('+')}\n`);
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
    const [first, second, third] = STACK.map((id) => `stacked_${id}`);
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
    expect((await vm.run('lsmod | grep -c ksplice')).stdout.trim()).toBe('0');
  });

  it('on top of one another are applied in one stop, and undone in one', async () => {
    const ids = STACK.map((id) => `stacked_${id}`);
    const applied = await guestKsplice(vm, `apply ${ids.map(fileOf).join(' ')}`);
    expect(applied, applied.stderr).toMatchObject({ exitCode: 0 });
    expectOneStop(applied.json, 3);
    // A new counter: the first update has not counted, the second does not count.
    expect(await marks()).toEqual([28]);
    // The lower one cannot go first; nothing of either is undone.
    expect(await guestKsplice(vm, `undo ${ids.join(' ')}`)).toMatchObject({
      exitCode: 5,
      json: { code: 'module_busy', details: { id: ids[0] } },
    });
    expect(await marks()).toEqual([28]);
    const undone = await guestKsplice(vm, `undo ${ids.toReversed().join(' ')}`);
    expect(undone, undone.stderr).toMatchObject({ exitCode: 0 });
    expectOneStop(undone.json, 3);
    expect(await marks()).toEqual([]);
    expect(await loaded()).toBe('0');
  });

  it('in one command, killed before the switch or after it, are all not applied or all applied', async () => {
    const ids = STACK.map((id) => `stacked_${id}`);
    const [first, second, third] = ids;
    const dyingAt = (place: string): { readonly before: string } => ({
      before: `KSPLICE_TEST_KILL='${place}' NODE_OPTIONS='--require ${KILL_AT}'`,
    });
    const all = ids.map(fileOf).join(' ');
    expect(await guestKsplice(vm, `apply ${all}`, dyingAt('before switch'))).toMatchObject({ exitCode: 137 });
    expect(await marks()).toEqual([]);
    expect(await applied()).toEqual(['']);
    // What is left of the others holds the first one's module, and goes with what is left of the first.
    expect(await guestKsplice(vm, `apply ${fileOf(`${first}`)}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ recovered: 'leftovers' }] },
    });
    expect((await vm.run('lsmod')).stdout).not.toContain(`ksplice_${second}`);
    // Those that are applied stay so, and the others join them.
    expect(await guestKsplice(vm, `apply ${all}`, dyingAt('before done'))).toMatchObject({ exitCode: 137 });
    expect(await applied()).toEqual(ids.toSorted());
    expect(await guestKsplice(vm, `apply ${all}`)).toMatchObject({
      exitCode: 0,
      json: { updates: ids.map((id) => ({ id, alreadyApplied: true })) },
    });
    expect(await guestKsplice(vm, `undo ${third} ${second} ${first}`)).toMatchObject({ exitCode: 0 });
    expect(await loaded()).toBe('0');
  });

  /** Of the changes that a run has made, in the order of its updates. */
  function switchNumbers(json: unknown): readonly number[] {
    return [...JSON.stringify(json).matchAll(/"switchNumber":(\d+)/g)].map(([, number]) => Number(number));
  }

  function expectOneStop(json: unknown, updates: number): void {
    const numbers = switchNumbers(json);
    expect(numbers).toHaveLength(updates);
    expect(numbers[0]).toBeGreaterThan(0);
    expect(new Set(numbers).size).toBe(1);
  }

  async function loaded(): Promise<string> {
    return (await vm.run('lsmod | grep -c ksplice')).stdout.trim();
  }

  it('beside one another are switched in one stop: nobody ever sees one without the other', async () => {
    const watcher = await vm.start('exec probe together');
    await vm.run('dmesg -c >/dev/null');
    const done = await guestKsplice(vm, `apply ${BOTH} ${fileOf('left')}`);
    expect(done, done.stderr).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: 'left' }, { id: 'right' }] },
    });
    expectOneStop(done.json, 2);
    const moments = ['pre', 'check', 'switched', 'post'].flatMap((moment) => [
      `left ${moment}`,
      `right ${moment}`,
    ]);
    expect(hooksCalled((await vm.run('dmesg -c')).stdout)).toEqual(moments);

    // The core takes a list only if all of it is a change, and everything in it is known, once.
    const control = '/sys/kernel/ksplice/control';
    const lists = [
      'reverse left left',
      'reverse left absent',
      'reverse left  right',
      'apply left right',
      'reverse ',
    ];
    for (const list of lists) expect((await vm.run(`echo '${list}' >${control}`)).exitCode, list).not.toBe(0);
    expect(await applied()).toEqual(['left', 'right']);

    const debug = await guestKsplice(vm, 'undo right left --debug');
    expect(debug, debug.stderr).toMatchObject({ exitCode: 0 });
    expect(debug.stderr).toContain('core: right: in one stop with left');
    expect(debug.stderr).toMatch(/core: right: undo, attempt \d: ok/);
    expectOneStop(debug.json, 2);
    const back = ['pre', 'check', 'switched', 'post'].flatMap((moment) => [
      `right ${moment}`,
      `left ${moment}`,
    ]);
    expect(hooksCalled((await vm.run('dmesg -c')).stdout)).toEqual(back);
    watcher.kill('SIGTERM');
    expect((await watcher.wait()).stdout).toBe('many halves 0 changes 2\n');
    expect(await loaded()).toBe('0');
  });

  it.for<readonly [keyof typeof REFUSE_AT, string, readonly string[]]>([
    ['left pre', 'left', ['left pre', 'left fail']],
    ['right pre', 'right', ['left pre', 'right pre', 'right fail', 'left fail']],
    [
      'right check',
      'right',
      ['left pre', 'right pre', 'left check', 'right check', 'right fail', 'left fail'],
    ],
  ])('are all left as they were when a hook refuses: %s', async ([refusing, owner, called]) => {
    await vm.run(`dmesg -c >/dev/null; echo ${REFUSE_AT[refusing]} >/proc/sys/kernel/panic`);
    const refused = {
      exitCode: 2,
      json: {
        code: 'call_failed',
        message: expect.stringContaining(`the hook of ${owner}, ${refusing.replace(' ', '_')}`),
      },
    };
    expect(await guestKsplice(vm, `apply ${BOTH}`)).toMatchObject(refused);
    expect(hooksCalled((await vm.run('dmesg -c')).stdout)).toEqual(called);
    expect(await loaded()).toBe('0');

    await vm.run('echo 0 >/proc/sys/kernel/panic');
    expect(await guestKsplice(vm, `apply ${BOTH}`)).toMatchObject({ exitCode: 0 });
    await vm.run(`dmesg -c >/dev/null; echo ${REFUSE_AT[refusing]} >/proc/sys/kernel/panic`);
    expect(await guestKsplice(vm, 'undo left right')).toMatchObject(refused);
    expect(hooksCalled((await vm.run('dmesg -c')).stdout)).toEqual(called);
    expect(await applied()).toEqual(['left', 'right']);
    await vm.run('echo 0 >/proc/sys/kernel/panic');
    expect(await guestKsplice(vm, 'undo left right')).toMatchObject({ exitCode: 0 });
  });

  it('are all left out when the second cannot be applied, and what was applied before stays', async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    // Its base is missing: found when the first is loaded already.
    expect(
      await guestKsplice(vm, `apply ${fileOf('left')} ${UPDATE} ${fileOf('stacked_second')}`),
    ).toMatchObject({
      exitCode: 69,
      json: { code: 'update_not_applied' },
    });
    expect(await applied()).toEqual([UPDATE_ID]);
    expect((await vm.run('ls /run/ksplice')).stdout.trim().split('\n')).not.toContain('left');
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await loaded()).toBe('0');
  });

  it('that are installed are applied in their order at boot, and held back after a crash that followed', async () => {
    const [first = '', second = ''] = STACK.map((id) => `stacked_${id}`);
    expect(await guestKsplice(vm, `install ${fileOf(second)}`)).toMatchObject({
      exitCode: 69,
      json: { code: 'update_not_installed', details: { below: first } },
    });
    expect(await guestKsplice(vm, `install ${fileOf(second)} ${fileOf(first)}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: first, outcome: 'installed' }, { id: second }] },
    });
    expect(await marks()).toEqual([]);
    expect(await guestKsplice(vm, 'boot status')).toMatchObject({ exitCode: 69 });
    expect(await guestKsplice(vm, 'boot apply')).toMatchObject({
      exitCode: 0,
      json: { applied: [{ id: first }, { id: second }], failed: [] },
    });
    expect(await applied()).toEqual([first, second]);
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
    expect(await applied()).toEqual(['']);
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
