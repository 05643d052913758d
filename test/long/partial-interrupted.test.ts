/**
 * apply --partial and undo, killed where modules are put in place or taken away. Afterwards modprobe finds the old module or
 * the fixed one, whole; and the next run carries on.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guestKsplice, untouched } from '../support/live/live-guest.ts';
import {
  apply,
  bootPartialGuest,
  dyingAt,
  lookAtModules,
  MIXED,
  MODULE,
  moduleAnswer,
  unloadModules,
} from '../support/live/partial-guest.ts';
import { TEST_RELEASE } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const KILLED = 137;
const KERNEL_FIRST = `kernel/net/${MODULE}.ko`;
const OURS_FIRST = `updates/ksplice/${MIXED}/${MODULE}.ko`;
const before = { ...untouched, first: KERNEL_FIRST, files: [] };

let vm: Vm;

beforeAll(async () => {
  vm = await bootPartialGuest();
});

afterAll(async () => {
  await vm?.close();
});

/** depmod is a process of its own, and comes to its end. */
async function afterDepmod(): Promise<void> {
  await expect.poll(async () => (await vm.run('pidof depmod')).stdout, { timeout: 20_000 }).toBe('');
}

async function expectFixedThenUndone(): Promise<void> {
  expect((await vm.run(`modprobe ${MODULE}`)).exitCode).toBe(0);
  expect(await moduleAnswer(vm)).toBe('VLAN dev name');
  await unloadModules(vm);
  const undone = await guestKsplice(vm, `undo ${MIXED}`);
  expect(undone.exitCode).toBe(0);
  expect(await lookAtModules(vm)).toEqual(before);
}

describe('apply --partial killed', () => {
  it.for([
    ['before install', 'preparing', [KERNEL_FIRST]],
    ['after install', 'preparing', [KERNEL_FIRST]],
    [`spawn ${TEST_RELEASE}`, 'preparing', [KERNEL_FIRST, OURS_FIRST]],
    ['before switch', 'preparing', [OURS_FIRST]],
    ['before done', 'applied', [OURS_FIRST]],
  ] as const)(
    '%s leaves a module that is whole, and the next run carries on',
    async ([place, stage, first]) => {
      const { exitCode } = await apply(vm, MIXED, '--partial', dyingAt(place));
      expect(exitCode).toBe(KILLED);
      await afterDepmod();
      const state = await lookAtModules(vm);
      expect(state.entries).toEqual([`${MIXED} ${stage}`]);
      expect(first).toContain(state.first);
      expect(state.trouble).toEqual([]);
      const again = await apply(vm, MIXED);
      expect(again.json).toMatchObject({
        updates: [{ recovered: stage === 'applied' ? 'applied' : 'leftovers' }],
      });
      await expectFixedThenUndone();
    },
  );

  it('before its switch, and then undone by a run that finds it so', async () => {
    await apply(vm, MIXED, '--partial', dyingAt('before switch'));
    const undone = await guestKsplice(vm, `undo ${MIXED}`);
    expect(undone.json).toMatchObject({ updates: [{ functions: [] }] });
    expect(await lookAtModules(vm)).toEqual(before);
    await apply(vm, MIXED);
    await expectFixedThenUndone();
  });
});

describe('undo killed', () => {
  it.for([
    ['before remove', 'applied'],
    [`spawn ${TEST_RELEASE}`, 'applied'],
    ['before undo', 'applied'],
    ['before undone', 'reversed'],
  ] as const)('%s: the next undo, or the next apply, carries on', async ([place, stage]) => {
    await apply(vm, MIXED);
    const killed = await guestKsplice(vm, `undo ${MIXED}`, { before: dyingAt(place) });
    expect(killed.exitCode).toBe(KILLED);
    await afterDepmod();
    const state = await lookAtModules(vm);
    expect(state.entries).toEqual([`${MIXED} ${stage}`]);
    expect(state.trouble).toEqual([]);
    const again = await apply(vm, MIXED);
    expect(again.exitCode).toBe(0);
    await expectFixedThenUndone();
  });
});
