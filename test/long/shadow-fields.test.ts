/**
 * Shadow fields (include/ksplice-shadow.h) end with their update: the kernel's table of them is empty then, though the
 * objects that had one are still in use.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { judgeLog } from '../support/case/kernel-log.ts';
import { patchFile } from '../support/case/read-cases.ts';
import { bootLiveGuest, guestKsplice } from '../support/live/live-guest.ts';
import { editedUpdate, madePath, madeUpdate } from '../support/live/made-update.ts';
import { runScript } from '../support/vm/run-script.ts';
import { testModuleFile, testModulePath } from '../support/vm/test-module.ts';
import type { Vm } from '../support/vm/vm.ts';

/** The update of test/cases/shadow-field: it counts the files that were added to an epoll instance. */
const COUNTED = 'counted';
/** Gives a variable a field in a pre hook; its check hook can be made to refuse. */
const MADE = 'made';
const LIMIT = '/proc/sys/fs/pipe-max-size';
const LIMIT_AT_BOOT = 1048576;
/** At which the check hook refuses. */
const OTHER_LIMIT = 524288;

/** Hooks of one kind are called in the order of the file: the first one comes before the field is freed. */
const HOOKS = `
#include <ksplice-shadow.h>

static void made_tell(void);
ksplice_fail_apply(made_tell);

DEFINE_SHADOW_FIELD(unsigned int, unsigned long, made);

static void made_tell(void)
{
	pr_info("made: %s\\n", get_made_shadow(&pipe_max_size) ? "a field" : "no field");
}

static int made_make(void)
{
	return make_made_shadow(&pipe_max_size, GFP_KERNEL) ? 0 : -ENOMEM;
}
ksplice_pre_apply(made_make);

static int made_check(void)
{
	return pipe_max_size == ${LIMIT_AT_BOOT} ? 0 : -EBUSY;
}
ksplice_check_apply(made_check);
`;

describe('shadow fields', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-shadow-'));
    const counted = await madeUpdate(folder, COUNTED, patchFile('shadow-field', 'fix.patch'));
    const made = await editedUpdate(folder, { id: MADE, source: 'fs/pipe.c', append: HOOKS });
    const files = [counted, made, await testModuleFile('shadow_count')];
    vm = await bootLiveGuest(files, { programs: ['watcher'] });
    await script(`table=$(awk '$3 == "klp_shadow_hash" { print $1 }' /proc/kallsyms)
      insmod ${testModulePath('shadow_count')} table=0x$table`);
  });

  afterEach(async () => {
    expect(await count()).toBe(0);
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

  /** Fields of all objects and updates. */
  async function count(): Promise<number> {
    return Number(await script('cat /sys/module/shadow_count/parameters/count'));
  }

  it('are freed by undo, whoever has the object open', async () => {
    expect(await count()).toBe(0);
    expect(await guestKsplice(vm, `apply ${madePath(COUNTED)}`)).toMatchObject({ exitCode: 0 });
    const watcher = await vm.start('exec watcher');
    const information = `cat /proc/$(pidof watcher)/fdinfo/3`;
    await script(`until ${information} 2>/dev/null | grep -q tfd; do usleep 50000; done`);
    expect(await script(information)).toMatch(/^added: 1$/m);
    expect(await count()).toBe(1);
    expect(await guestKsplice(vm, `undo ${COUNTED}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: COUNTED, resident: false }] },
    });
    expect(await script(information)).toMatch(/^tfd:/m);
    expect(await count()).toBe(0);
    watcher.kill('SIGKILL');
    await watcher.wait();
  });

  it('that a pre hook made are freed when the update is not applied', async () => {
    await script(`echo ${OTHER_LIMIT} >${LIMIT}`);
    expect(await guestKsplice(vm, `apply ${madePath(MADE)}`)).toMatchObject({
      exitCode: 2,
      json: { code: 'call_failed', message: expect.stringMatching(/its hook made_check refused it/) },
    });
    expect(await vm.kernelLog()).toMatch(/made: a field$/m);
    expect(await count()).toBe(0);
    // Where nothing refuses, it is there until the undo.
    await script(`echo ${LIMIT_AT_BOOT} >${LIMIT}`);
    expect(await guestKsplice(vm, `apply ${madePath(MADE)}`)).toMatchObject({ exitCode: 0 });
    expect(await count()).toBe(1);
    expect(await guestKsplice(vm, `undo ${MADE}`)).toMatchObject({ exitCode: 0 });
  });
});
