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
import { FIXED_FUNCTION, FIXED_SOURCE, UPDATE_ID } from '../support/live/update-file.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const SECOND = 'second';
const SECOND_UPDATE = `/root/${SECOND}.ksplice`;
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
    const probe = { path: '/bin/probe', from: await compileGuest('probe', testCacheDir()), mode: 0o755 };
    vm = await bootLiveGuest([{ path: SECOND_UPDATE, from: file }, ...stack, probe]);
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
    const again = await guestKsplice(vm, `check ${UPDATE}`);
    expect(again).toMatchObject({
      exitCode: 5,
      json: {
        code: 'module_busy',
        message: expect.stringContaining(`${UPDATE_ID} has changed ${FIXED_FUNCTION}`),
      },
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
      json: { code: 'module_busy', details: { above: [second, third] } },
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

  it('on top of one another are applied by one command, and undone by one', async () => {
    const ids = STACK.map((id) => `stacked_${id}`);
    expect(await guestKsplice(vm, `apply ${ids.map(fileOf).join(' ')}`)).toMatchObject({ exitCode: 0 });
    // A new counter: the first update has not counted, the second does not count.
    expect(await marks()).toEqual([28]);
    expect(await guestKsplice(vm, `undo ${ids.toReversed().join(' ')}`)).toMatchObject({ exitCode: 0 });
    expect(await marks()).toEqual([]);
  });
});
