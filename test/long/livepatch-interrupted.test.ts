/** apply with the livepatch engine, killed at each of its passes: the next run goes on, and undo leaves nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { livepatchPasses } from '../../src/live/livepatch-engine.ts';
import {
  bootLiveGuest,
  expectUndone,
  guestKsplice,
  type LiveState,
  look,
  UPDATE,
  untouched,
} from '../support/live/live-guest.ts';
import { UPDATE_ID } from '../support/live/update-file.ts';
import type { Vm } from '../support/vm/vm.ts';

const KILL_AT = '/opt/kill-at.cjs';
const patched: LiveState = {
  ...untouched,
  modules: [`ksplice_${UPDATE_ID}`],
  leftovers: [UPDATE_ID],
  answer: 'EPERM',
};

describe('apply --engine livepatch, killed', () => {
  let vm: Vm;

  beforeAll(async () => {
    const from = new URL('../support/live/kill-at.cjs', import.meta.url).pathname;
    vm = await bootLiveGuest([{ path: KILL_AT, from }]);
  });

  afterAll(async () => {
    await vm?.close();
  });

  it.for(livepatchPasses)('before %s leaves what the next run can go on from', async (pass) => {
    const before = `KSPLICE_TEST_KILL='before ${pass}' NODE_OPTIONS='--require ${KILL_AT}'`;
    expect(await guestKsplice(vm, `apply --engine livepatch ${UPDATE}`, { before })).toMatchObject({
      exitCode: 137,
    });
    expect(await guestKsplice(vm, `apply --engine livepatch ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await look(vm)).toEqual(patched);
    await expectUndone(vm);
  });
});
