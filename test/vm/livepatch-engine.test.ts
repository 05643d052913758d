/**
 * The kernel's own livepatch as the engine: the same update files, applied and undone by a transition, beside the jump
 * engine on other functions; and what it does about tasks that are in the way, and about runs that are killed.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import {
  bootLiveGuest,
  expectUndone,
  guestKsplice,
  type LiveState,
  look,
  UPDATE,
  untouched,
} from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, FIXED_SOURCE, UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir, testImage } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const MODULE = `ksplice_${UPDATE_ID}`;
const LIVEPATCH = `/sys/kernel/livepatch/${MODULE}`;
const KILL_AT = '/opt/kill-at.cjs';
/** The test update, linked at rest. */
const LINKED = `/root/${MODULE}.ko`;
const patched: LiveState = { ...untouched, modules: [MODULE], leftovers: [UPDATE_ID], answer: 'EPERM' };

const HOOKS = `
#include <ksplice-patch.h>
static int hook_refuses;
static int hook_before(void)
{
	printk("engine test: before\\n");
	return hook_refuses;
}
ksplice_pre_apply(hook_before);
static void hook_after(void)
{
	printk("engine test: after\\n");
}
ksplice_post_apply(hook_after);
static void hook_undone(void)
{
	printk("engine test: undone\\n");
}
ksplice_post_reverse(hook_undone);
`;

/** A second function of the same unit, with hooks; and a function at whose start a static call is in the way of a jump. */
const SOURCES = {
  second: {
    file: FIXED_SOURCE,
    edit: (text: string): string =>
      `${text.replace('if (opt->rr_needaddr) {', 'if (opt->rr_needaddr && opt->rr) {')}${HOOKS}`,
  },
  needs_livepatch: {
    file: 'kernel/locking/rwsem.c',
    edit: (text: string): string =>
      text.replace(
        'down_read(struct rw_semaphore *sem)\n{\n\tmight_sleep();',
        'down_read(struct rw_semaphore *sem)\n{\n\tmight_sleep();\n\tif (!sem->wait_list.next)\n\t\treturn;',
      ),
  },
} as const;

/** Until a thread sleeps in the function. */
async function untilHeld(vm: Vm): Promise<void> {
  const poll =
    'i=0; until grep -q stuck /run/vm/background-*.out; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done';
  expect((await vm.run(poll)).exitCode).toBe(0);
}

describe('the livepatch engine', () => {
  let folder: string;
  let vm: Vm;

  async function create(id: keyof typeof SOURCES): Promise<{ readonly path: string; readonly from: string }> {
    const { file, edit } = SOURCES[id];
    const { source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
    const before = await readFile(join(source, file), 'utf8');
    const after = edit(before);
    expect(after).not.toBe(before);
    const patch = join(folder, `${id}.patch`);
    await writeFile(patch, createTwoFilesPatch(`a/${file}`, `b/${file}`, before, after));
    const from = join(folder, `${id}.ksplice`);
    const argv = ['create', '--patch', patch, '--kernel', TEST_RELEASE, '--id', id, '-o', from];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), argv, folder);
    expect(exitCode, stderr).toBe(0);
    return { path: `/root/${id}.ksplice`, from };
  }

  async function linkAtRest(): Promise<{ readonly path: string; readonly from: string }> {
    const from = join(folder, `${MODULE}.ko`);
    const argv = ['link', await updateFile(), '--image', await testImage(TEST_RELEASE), '-o', from];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), argv, folder);
    expect(exitCode, stderr).toBe(0);
    return { path: LINKED, from };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-engine-'));
    const files = [await create('second'), await create('needs_livepatch'), await linkAtRest()];
    const kill = { path: KILL_AT, from: new URL('../support/live/kill-at.cjs', import.meta.url).pathname };
    vm = await bootLiveGuest([...files, kill], { cpusInTurn: true });
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('applies an update without our core, says so, and undoes it', async () => {
    expect(await look(vm)).toEqual(untouched);
    expect(await guestKsplice(vm, `apply --engine livepatch ${UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: {
        updates: [{ id: UPDATE_ID, engine: 'livepatch', alreadyApplied: false, functions: [FIXED_FUNCTION] }],
      },
    });
    expect(await look(vm)).toEqual(patched);
    expect((await vm.run(`cat ${LIVEPATCH}/enabled; ls ${LIVEPATCH}/vmlinux`)).stdout).toContain(
      `${FIXED_FUNCTION},1`,
    );
    expect(await guestKsplice(vm, 'view')).toMatchObject({
      json: {
        updates: [{ id: UPDATE_ID, stage: 'applied', engine: 'livepatch', shadowed: [], conflicts: [] }],
      },
    });
    expect((await vm.run('ksplice metrics')).stdout).toContain(
      `ksplice_update_engine{id="${UPDATE_ID}",engine="livepatch"} 1`,
    );
    // Both engines know that it is there.
    for (const engine of ['jump', 'livepatch']) {
      expect(await guestKsplice(vm, `apply --engine ${engine} ${UPDATE}`)).toMatchObject({
        exitCode: 0,
        json: { updates: [{ alreadyApplied: true, engine: 'livepatch' }] },
      });
    }
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ engine: 'livepatch', resident: false }] },
    });
    expect(await look(vm)).toEqual(untouched);
  });

  it('knows a module that was linked at rest, which insmod applies, as any update', async () => {
    expect(await vm.run(`insmod ${LINKED}`)).toMatchObject({ exitCode: 0, stderr: '' });
    const settled = `i=0; until [ "$(cat ${LIVEPATCH}/transition)" = 0 ]; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done`;
    expect((await vm.run(settled)).exitCode).toBe(0);
    // Nothing of it is in /run/ksplice: it tells by itself what it is.
    expect(await look(vm)).toEqual({ ...patched, leftovers: [] });
    expect(await guestKsplice(vm, 'view')).toMatchObject({
      json: {
        updates: [
          {
            id: UPDATE_ID,
            stage: 'applied',
            engine: 'livepatch',
            functions: [FIXED_FUNCTION],
            appliedAt: null,
          },
        ],
      },
    });
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ alreadyApplied: true, engine: 'livepatch' }] },
    });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ engine: 'livepatch', functions: [FIXED_FUNCTION], resident: false }] },
    });
    expect(await look(vm)).toEqual(untouched);
  });

  it('goes beside the jump engine on another function, calls hooks, and both engines refuse what the other has', async () => {
    expect(await guestKsplice(vm, `apply --engine jump ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    // The core knows the ID: it is the jump engine's.
    expect(await guestKsplice(vm, `apply --engine livepatch ${UPDATE}`)).toMatchObject({
      json: { updates: [{ alreadyApplied: true, engine: 'jump' }] },
    });
    expect(await guestKsplice(vm, 'apply --engine livepatch /root/second.ksplice')).toMatchObject({
      exitCode: 0,
    });
    const { stdout } = await vm.run("dmesg | grep -o 'engine test: .*'");
    expect(stdout).toBe('engine test: before\nengine test: after\n');
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, 'undo second')).toMatchObject({ exitCode: 0 });
    expect((await vm.run("dmesg | grep -c 'engine test: undone'")).stdout).toBe('1\n');
    await expectUndone(vm);
  });

  it('takes a function that the jump engine refuses, which says so', async () => {
    expect(await guestKsplice(vm, 'apply /root/needs_livepatch.ksplice')).toMatchObject({
      exitCode: 2,
      json: { hint: expect.stringContaining('ksplice apply --engine livepatch') },
    });
    expect(await guestKsplice(vm, 'apply --engine livepatch /root/needs_livepatch.ksplice')).toMatchObject({
      exitCode: 0,
      json: { updates: [{ functions: ['down_read'] }] },
    });
    expect(await guestKsplice(vm, 'undo needs_livepatch')).toMatchObject({ exitCode: 0 });
    expect(await look(vm)).toEqual(untouched);
  });

  it('gives up when a task stays in the function, names it, and leaves the kernel as it was', async () => {
    const stuck = await vm.start('exec stuck_in_options');
    await untilHeld(vm);
    const outcome = await guestKsplice(vm, `apply --engine livepatch --wait 3 ${UPDATE}`);
    expect(outcome).toMatchObject({
      exitCode: 5,
      json: {
        code: 'code_busy',
        details: {
          conflicts: [expect.objectContaining({ task: 'stuck_in_option', functions: [FIXED_FUNCTION] })],
        },
      },
    });
    expect(await look(vm)).toMatchObject({ modules: [], leftovers: [], trouble: [] });

    // A run that is killed meanwhile leaves the transition to the next one.
    await vm.run(
      `KSPLICE_TEST_KILL='after transition' NODE_OPTIONS='--require ${KILL_AT}' ksplice apply --engine livepatch ${UPDATE}`,
    );
    expect(await guestKsplice(vm, 'view')).toMatchObject({ json: { updates: [{ stage: 'preparing' }] } });
    stuck.kill('SIGKILL');
    await stuck.wait();
    await expectUndone(vm);
  });
});
