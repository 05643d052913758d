/** Several updates beside one another: the second finds the jump of the first in the code that it has to match. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { HELD_UP } from '../support/case/kernel-log.ts';
import { secondUpdateFile } from '../support/live/held.ts';
import { bootLiveGuest, guestKsplice, UPDATE } from '../support/live/live-guest.ts';
import { madePath, madeUpdate } from '../support/live/made-update.ts';
import { appliedUpdates, expectOneStop, loadedModules, takeLog } from '../support/live/many-updates.ts';
import { hooksCalled, REFUSE_AT, togetherPatch } from '../support/live/together.ts';
import { FIXED_FUNCTION, FIXED_SOURCE, fixPatch, UPDATE_ID } from '../support/live/update-file.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import type { GuestFile } from '../support/vm/initramfs.ts';
import { runScript } from '../support/vm/run-script.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';
import { testModuleFile, testModulePath } from '../support/vm/test-module.ts';
import type { Vm } from '../support/vm/vm.ts';

const OTHER_FUNCTION = 'ip_options_undo';
const SECOND_UPDATE = madePath('second');
/** The fix once more, by another name. */
const TWIN_UPDATE = madePath('twin');
/** Independent of one another, in one unit. */
const BOTH = `${madePath('left')} ${madePath('right')}`;

/** A change of another function than the fix changes, in the same file. */
async function secondPatch(): Promise<string> {
  const { source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  const before = await readFile(join(source, FIXED_SOURCE), 'utf8');
  const after = before.replace('if (opt->rr_needaddr) {', 'if (opt->rr_needaddr && opt->rr) {');
  expect(after).not.toBe(before);
  return createTwoFilesPatch(`a/${FIXED_SOURCE}`, `b/${FIXED_SOURCE}`, before, after);
}

describe('several updates', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-several-'));
    const patches = {
      second: await secondPatch(),
      twin: await fixPatch(),
      left: await togetherPatch('left'),
      right: await togetherPatch('right'),
    };
    const files: GuestFile[] = [];
    for (const [id, text] of Object.entries(patches)) {
      const patch = join(folder, `${id}.patch`);
      await writeFile(patch, text);
      files.push(await madeUpdate(folder, id, patch));
    }
    const probe = { path: '/bin/probe', from: await compileGuest('probe', testCacheDir()), mode: 0o755 };
    files.push(probe, await testModuleFile('held'), await testModuleFile('held_update'));
    files.push(await secondUpdateFile());
    vm = await bootLiveGuest(files);
  });

  afterEach(async () => {
    await takeLog(vm);
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

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
    expect(await appliedUpdates(vm)).toEqual([UPDATE_ID, 'second']);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await appliedUpdates(vm)).toEqual(['second']);
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `undo second`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await loadedModules(vm)).toEqual([]);
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
    expect(await appliedUpdates(vm)).toEqual([UPDATE_ID]);
    expect(await guestKsplice(vm, `check ${UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { alreadyApplied: true },
    });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
  });

  it('beside one another are switched in one stop: nobody ever sees one without the other', async () => {
    const watcher = await vm.start('exec probe together');
    await takeLog(vm);
    const done = await guestKsplice(vm, `apply ${BOTH} ${madePath('left')}`);
    expect(done, done.stderr).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: 'left' }, { id: 'right' }] },
    });
    expectOneStop(done.json, 2);
    const moments = ['pre', 'check', 'switched', 'post'].flatMap((moment) => [
      `left ${moment}`,
      `right ${moment}`,
    ]);
    expect(hooksCalled(await takeLog(vm))).toEqual(moments);

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
    expect(await appliedUpdates(vm)).toEqual(['left', 'right']);

    const debug = await guestKsplice(vm, 'undo right left --debug');
    expect(debug, debug.stderr).toMatchObject({ exitCode: 0 });
    expect(debug.stderr).toContain('core: right: in one stop with left');
    expect(debug.stderr).toMatch(/core: right: undo, attempt \d: ok/);
    expectOneStop(debug.json, 2);
    const back = ['pre', 'check', 'switched', 'post'].flatMap((moment) => [
      `right ${moment}`,
      `left ${moment}`,
    ]);
    expect(hooksCalled(await takeLog(vm))).toEqual(back);
    watcher.kill('SIGTERM');
    expect((await watcher.wait()).stdout).toBe('many halves 0 changes 2\n');
    expect(await loadedModules(vm)).toEqual([]);
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
    await takeLog(vm);
    await vm.run(`echo ${REFUSE_AT[refusing]} >/proc/sys/kernel/panic`);
    const refused = {
      exitCode: 2,
      json: {
        code: 'call_failed',
        message: expect.stringContaining(`the hook of ${owner}, ${refusing.replace(' ', '_')}`),
      },
    };
    expect(await guestKsplice(vm, `apply ${BOTH}`)).toMatchObject(refused);
    expect(hooksCalled(await takeLog(vm))).toEqual(called);
    expect(await loadedModules(vm)).toEqual([]);

    await vm.run('echo 0 >/proc/sys/kernel/panic');
    expect(await guestKsplice(vm, `apply ${BOTH}`)).toMatchObject({ exitCode: 0 });
    await takeLog(vm);
    await vm.run(`echo ${REFUSE_AT[refusing]} >/proc/sys/kernel/panic`);
    expect(await guestKsplice(vm, 'undo left right')).toMatchObject(refused);
    expect(hooksCalled(await takeLog(vm))).toEqual(called);
    expect(await appliedUpdates(vm)).toEqual(['left', 'right']);
    await vm.run('echo 0 >/proc/sys/kernel/panic');
    expect(await guestKsplice(vm, 'undo left right')).toMatchObject({ exitCode: 0 });
  });

  /** Made by hand, so that nobody but the core looks at what they replace. */
  describe('of the same functions, that matching has not compared', () => {
    const [sysfs, ids] = ['/sys/kernel/ksplice', ['held', 'held_second']];
    const modules = { held: testModulePath('held_update'), held_second: testModulePath('held_second') };

    async function script(text: string): Promise<string> {
      return await runScript(vm, text);
    }

    /** By the core: EBUSY, and a line that says who has the function. */
    async function expectTaken(command: string, line: string): Promise<void> {
      await script('dmesg >/run/before');
      const { exitCode, stderr } = await vm.run(command);
      expect([command, exitCode, stderr]).toEqual([command, 1, expect.stringMatching(/resource busy/)]);
      const log = await script(`dmesg | tail -n +$(($(wc -l </run/before) + 1)) | grep -v '${HELD_UP}'`);
      expect(log).toMatch(new RegExp(`^\\[[ .\\d]+\\] ksplice: ${line}$`));
    }

    /** A line for each update: its stage, and why the last change was not made. */
    const stages = async (): Promise<string> =>
      await script(`cd ${sysfs}; for id in ${ids.join(' ')}; do echo $(cat $id/stage $id/abort_cause); done`);
    const versions = async (): Promise<string> => await script("cut -d' ' -f1,2 /proc/held");

    beforeAll(async () => {
      expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
      await script(`insmod ${testModulePath('held')} && cd ${sysfs} && for id in ${ids.join(' ')}; do
        echo create $id >control && echo pin $id held >control || exit; done`);
    });

    // Whoever kept a reference to a module, or to the core, would keep it from going.
    afterAll(async () => {
      await script(`cd ${sysfs}; for id in ${ids.join(' ')}; do echo forget $id >control || exit; done
        rmmod held`);
      expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
      expect(await loadedModules(vm)).toEqual([]);
      await takeLog(vm);
    });

    afterEach(async () => {
      await script('rmmod held_update && rmmod held_second');
    });

    it('the core takes one while none is applied, and does not take or apply it while the other is', async () => {
      const [line, apply] = [
        'held_second: held is replaced by held',
        `echo applied >${sysfs}/held_second/stage`,
      ];
      await script(`insmod ${modules.held} && echo applied >${sysfs}/held/stage`);
      await expectTaken(`/sbin/insmod ${modules.held_second} id=held_second`, line);
      await script(`echo reversed >${sysfs}/held/stage && insmod ${modules.held_second} id=held_second`);
      await script(`echo applied >${sysfs}/held/stage`);
      await expectTaken(apply, line);
      expect(await stages()).toBe('applied ok\npreparing module_busy');
      await script(`echo reversed >${sysfs}/held/stage`);
      expect(await versions()).toBe('old old');
      await script(apply);
      expect([await stages(), await versions()]).toEqual(['reversed ok\napplied ok', 'new new']);
      await script(`echo reversed >${sysfs}/held_second/stage`);
    });

    it('the core switches none of a list with both; of different functions, both', async () => {
      await script(`insmod ${modules.held} && insmod ${modules.held_second} id=held_second`);
      for (const [first, other] of [ids, ids.toReversed()]) {
        await expectTaken(
          `echo apply ${first} ${other} >${sysfs}/control`,
          `${first}: held is replaced by ${other}`,
        );
        expect(await stages()).toMatch(
          /^(preparing|reversed) module_busy\n(preparing|reversed) module_busy$/,
        );
        expect(await versions()).toBe('old old');
      }
      await script(`rmmod held_update && insmod ${modules.held} only=held`);
      await expectTaken(
        `echo apply held held_second >${sysfs}/control`,
        'held: held is replaced by held_second',
      );
      await script(`rmmod held_second && insmod ${modules.held_second} id=held_second only=held_restart`);
      await script(`echo apply held held_second >${sysfs}/control`);
      expect([await stages(), await versions()]).toEqual(['applied ok\napplied ok', 'new new']);
      await script(`echo reverse held held_second >${sysfs}/control`);
      expect(await versions()).toBe('old old');
    });
  });
});
