/**
 * Modules that own addresses which an update is bound to, and that nothing else keeps: what is patched is `dummy`, whose
 * new code refers to a function of `llc`, on which `dummy` does not depend. They are pinned when the update is linked;
 * until then they can go.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { judgeLog } from '../support/case/kernel-log.ts';
import {
  bootLiveGuest,
  guestKsplice,
  type KspliceOutcome,
  look,
  untouched,
} from '../support/live/live-guest.ts';
import { editedUpdate, madePath } from '../support/live/made-update.ts';
import { runScript } from '../support/vm/run-script.ts';
import { testModule } from '../support/vm/test-kernel.ts';
import { shellQuote, type Vm } from '../support/vm/vm.ts';

const ID = 'owned';
const OWNER = 'llc';
/** As large as the owner, or smaller: what takes its place when it has gone. */
const OTHERS = ['crc7', 'crc-itu-t', 'cordic', 'ts_bm', 'ts_fsm', 'ts_kmp'] as const;
const DO_AT = '/opt/do-at.cjs';
const BASE = `sed -n 's/^${OWNER} .* //p' /proc/modules`;
const pathOf = (name: string): string => `/root/modules/${name}.ko`;

describe('a module that the new code refers to', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-owners-'));
    const update = await editedUpdate(folder, {
      id: ID,
      source: 'drivers/net/dummy.c',
      change: [
        'static int dummy_change_carrier(struct net_device *dev, bool new_carrier)\n{\n',
        `#include <net/llc.h>

static int dummy_change_carrier(struct net_device *dev, bool new_carrier)
{
	pr_info("dummy: %ps\\n", llc_sap_open);
`,
      ],
    });
    const modules = ['dummy', OWNER, ...OTHERS].map(async (name) => ({
      path: pathOf(name),
      from: await testModule(name),
    }));
    const doAt = { path: DO_AT, from: new URL('../support/live/do-at.cjs', import.meta.url).pathname };
    vm = await bootLiveGuest([update, doAt, ...(await Promise.all(modules))]);
    await script(`insmod ${pathOf('dummy')} && ip link set dummy0 up && insmod ${pathOf(OWNER)}`);
  });

  /** The kernel as it was, and the update fits it. */
  afterEach(async () => {
    const found = await look(vm);
    const modules = found.modules.filter((name) => name.startsWith('ksplice'));
    expect({ ...found, modules }).toEqual(untouched);
    await script(`grep -q '^${OWNER} ' /proc/modules || insmod ${pathOf(OWNER)}`);
    expect(await guestKsplice(vm, `apply ${madePath(ID)}`)).toMatchObject({ exitCode: 0 });
    expect(await script('echo 0 >/sys/class/net/dummy0/carrier; dmesg | tail -n 1')).toMatch(
      /dummy: llc_sap_open \[llc\]$/,
    );
    expect((await vm.run(`rmmod ${OWNER}`)).exitCode).not.toBe(0);
    expect(await guestKsplice(vm, `undo ${ID}`)).toMatchObject({ exitCode: 0 });
    const log = await vm.kernelLog();
    expect(judgeLog(log, []).trouble, log).toEqual([]);
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function script(text: string): Promise<string> {
    return await runScript(vm, text);
  }

  /** Runs apply with a script that is run at a moment; unless told, when all is matched and linked, and the owner not pinned yet. */
  async function applyWith(text: string, at = 'pin'): Promise<KspliceOutcome> {
    const before = `KSPLICE_TEST_AT=${shellQuote(at)} KSPLICE_TEST_RUN=${shellQuote(text)} NODE_OPTIONS='--require ${DO_AT}'`;
    return await guestKsplice(vm, `apply ${madePath(ID)}`, { before });
  }

  it('and that was unloaded before it was pinned: refused, and nothing is left', async () => {
    expect(await applyWith(`rmmod ${OWNER}`)).toMatchObject({
      exitCode: 69,
      json: {
        code: 'target_not_loaded',
        message: `${ID}: module ${OWNER} was unloaded while matching`,
        hint: `load it again (modprobe ${OWNER}) and apply the update again`,
      },
    });
  });

  it('and that was loaded again at another address: refused, and nothing is left', async () => {
    const before = await script(BASE);
    const others = OTHERS.map((name) => `insmod ${pathOf(name)}`).join(' && ');
    const outcome = await applyWith(`rmmod ${OWNER} && ${others} && insmod ${pathOf(OWNER)}`);
    expect(await script(BASE)).not.toBe(before);
    expect(outcome).toMatchObject({
      exitCode: 5,
      json: {
        code: 'module_busy',
        message: `${ID}: module ${OWNER} was loaded while matching`,
        hint: 'try again',
      },
    });
  });

  it('and that was loaded just before the symbols were read: refused, since nobody knew of it', async () => {
    await script(`rmmod ${OWNER}`);
    const outcome = await applyWith(`insmod ${pathOf(OWNER)}`, 'open /proc/kallsyms match');
    expect(outcome).toMatchObject({
      exitCode: 5,
      json: { code: 'module_busy', message: `${ID}: module ${OWNER} was loaded while matching` },
    });
  });
});
