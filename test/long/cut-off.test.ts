/**
 * A machine that is cut off during apply or undo, at each of their steps, and booted again: what is on its disk fits
 * together, whatever had come to be there. The kernel has forgotten everything; the fixed modules of `apply --partial` may
 * be there, or not, and modprobe finds a whole one. Everything can be begun anew.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyPasses } from '../../src/live/apply.ts';
import { judgeLog } from '../support/case/kernel-log.ts';
import { cutOffAt, DiskMachine } from '../support/live/disk-machine.ts';
import { guestKsplice } from '../support/live/live-guest.ts';
import {
  apply,
  lookAtModules,
  MIXED,
  MODULE,
  moduleAnswer,
  unloadModules,
} from '../support/live/partial-guest.ts';
import { TEST_RELEASE } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const KERNEL_FIRST = `kernel/net/${MODULE}.ko`;
const OURS_FIRST = `updates/ksplice/${MIXED}/${MODULE}.ko`;
/** How the list of the module begins, by the file that it was loaded from. */
const ANSWERS: Readonly<Record<string, string>> = {
  [KERNEL_FIRST]: 'VLAN Dev name',
  [OURS_FIRST]: 'VLAN dev name',
};
/** depmod is given the release as its last word. */
const DEPMOD = `spawn ${TEST_RELEASE}`;

let machine: DiskMachine;
let vm: Vm;

beforeAll(async () => {
  machine = await DiskMachine.make();
  vm = await machine.boot();
});

afterAll(async () => {
  await vm?.close();
  await machine?.remove();
});

/** Loads the module, which is whole and the one that modprobe has said, and unloads it. */
async function expectModule(first: string): Promise<void> {
  expect(await vm.run(`modprobe ${MODULE}`)).toMatchObject({ exitCode: 0 });
  expect(await moduleAnswer(vm)).toBe(ANSWERS[first]);
  await unloadModules(vm);
}

/** After a boot: what is there fits together, and everything works as if nothing had been. */
async function expectWhole(possible: readonly string[]): Promise<void> {
  const found = await lookAtModules(vm);
  expect(found).toMatchObject({ entries: undefined, leftovers: [], answer: 'ok', trouble: [] });
  expect(possible).toContain(found.first);
  await expectModule(found.first);
  // Whatever is left of the update in files is shown, and nothing says that it is applied.
  const left = found.files.length > 0 ? [{ id: MIXED, stage: 'installed' }] : [];
  expect(await guestKsplice(vm, 'view')).toMatchObject({ exitCode: 0, json: { updates: left } });
  expect(await apply(vm, MIXED)).toMatchObject({ exitCode: 0, json: { updates: [{ id: MIXED }] } });
  expect(await lookAtModules(vm)).toMatchObject({
    entries: [`${MIXED} applied`],
    answer: 'EPERM',
    first: OURS_FIRST,
  });
  await expectModule(OURS_FIRST);
  expect(await guestKsplice(vm, `undo ${MIXED}`)).toMatchObject({ exitCode: 0 });
  expect(await lookAtModules(vm)).toMatchObject({
    entries: undefined,
    leftovers: [],
    answer: 'ok',
    first: KERNEL_FIRST,
    files: [],
  });
  const log = await vm.kernelLog();
  expect(judgeLog(log, []).trouble, log).toEqual([]);
}

describe('a machine that is cut off', () => {
  it.for(
    applyPasses.flatMap((pass): (readonly [string, readonly string[]])[] => {
      if (pass === 'done') return [[pass, [OURS_FIRST]]];
      if (pass !== 'switch') return [[pass, [KERNEL_FIRST]]];
      return [
        ['install', [KERNEL_FIRST]],
        [DEPMOD, [KERNEL_FIRST, OURS_FIRST]],
        [pass, [OURS_FIRST]],
      ];
    }),
  )('before pass %s of apply boots into a whole one', async ([place, possible]) => {
    await cutOffAt(vm, place, `apply --partial /root/${MIXED}.ksplice`);
    vm = await machine.boot();
    await expectWhole(possible);
  });

  it.for<readonly [string, readonly string[]]>([
    ['remove', [OURS_FIRST]],
    [DEPMOD, [KERNEL_FIRST, OURS_FIRST]],
    ['undo', [KERNEL_FIRST]],
    ['undone', [KERNEL_FIRST]],
  ])('before step %s of undo boots into a whole one', async ([place, possible]) => {
    expect(await apply(vm, MIXED)).toMatchObject({ exitCode: 0 });
    await cutOffAt(vm, place, `undo ${MIXED}`);
    vm = await machine.boot();
    await expectWhole(possible);
  });
});
