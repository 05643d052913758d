/**
 * A Debian with systemd that hibernates with an update applied, by systemd's own unit: the resume finds the update applied, and no unit
 * applies it again. An image that is thrown away is a boot that ended without a shutdown.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackage } from '../../scripts/package.ts';
import { run } from '../../src/process/run.ts';
import { type DiskFile, debianDisk } from '../support/debian/debian-root.ts';
import { DebianMachine } from '../support/debian/machine.ts';
import { UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

const FILE = `/root/${UPDATE_ID}.ksplice`;
const HIBERNATE = 'systemctl --no-block start systemd-hibernate.service';

/** The line to the host is new after a resume: the agent says hello to it. */
const AGENT_AGAIN: DiskFile = {
  path: '/lib/systemd/system-sleep/agent',
  contents: '#!/bin/sh\n[ "$1" = pre ] || systemctl --no-block restart agent.service\n',
  mode: 0o755,
};

describe('a machine that hibernates', { timeout: 1_800_000 }, () => {
  let folder: string;
  let disk: string;
  let machine: DebianMachine;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-hibernation-'));
    disk = join(folder, 'disk');
    const { deb } = await buildPackage(folder, 0);
    const update = { path: FILE, contents: await readFile(await updateFile()) };
    await debianDisk(disk, [deb], testCacheDir(), [AGENT_AGAIN, update]);
    machine = await DebianMachine.boot(disk, TEST_RELEASE);
    const swap = 'fallocate -l 600M /swap && chmod 600 /swap && mkswap /swap && swapon /swap';
    // The kernel writes no more of its caches than it has to.
    const { exitCode, text } = await machine.run(`${swap} && echo 0 >/sys/power/image_size`);
    expect(exitCode, text).toBe(0);
  }, 1_800_000);

  afterAll(async () => {
    await machine?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** What the kernel that reads the image is told: the file's first block, in pages, which is how swap counts. */
  async function resumeWords(): Promise<string> {
    const { stdout } = await run(['debugfs', '-R', 'bmap /swap 0', disk]);
    expect(stdout.trim()).toMatch(/^[1-9]\d*$/);
    return `resume=/dev/vda resume_offset=${stdout.trim()}`;
  }

  /** What a resume keeps, and a boot does not. */
  async function look(): Promise<string> {
    const { text } = await machine.run(
      `cat /proc/sys/kernel/random/boot_id; systemctl show -P InvocationID ksplice.service; systemctl show -P ActiveState ksplice-good.timer; ksplice view ${UPDATE_ID} --json | grep appliedAt`,
    );
    return text;
  }

  it('has the update applied at boot', async () => {
    expect((await machine.run(`ksplice install ${FILE}`)).exitCode).toBe(0);
    await machine.shutDown();
    await machine.switchOn();
    expect(await machine.answer()).toBe('EPERM');
    expect((await machine.run('swapon /swap && echo 0 >/sys/power/image_size')).exitCode).toBe(0);
  });

  it('has it as before when it resumes: nothing is applied again, and the ten minutes go on', async () => {
    const before = await look();
    expect(before).toMatch(/^[-0-9a-f]{36}\n[0-9a-f]{32}\nactive\n.*appliedAt/);
    await machine.endWith(HIBERNATE);
    await machine.switchOn(TEST_RELEASE, await resumeWords());
    expect((await machine.run('dmesg')).text).toMatch(/PM: hibernation: hibernation exit/);
    expect(await look()).toBe(before);
    expect(await machine.answer()).toBe('EPERM');
    expect(await machine.bootState()).toBe('trying');
    expect((await machine.run('journalctl -b -u ksplice.service -o cat')).text).not.toContain('held back');
  });

  it('can be taken back and applied again after that', async () => {
    expect((await machine.run(`ksplice undo ${UPDATE_ID}`)).exitCode).toBe(0);
    expect(await machine.answer()).toBe('ok');
    expect((await machine.run(`ksplice apply ${FILE}`)).exitCode).toBe(0);
    expect(await machine.answer()).toBe('EPERM');
  });

  it('is taken for crashed where the image is thrown away within the ten minutes', async () => {
    await machine.endWith(HIBERNATE);
    await machine.switchOn();
    expect(await machine.answer()).toBe('ok');
    expect(await machine.run('ksplice boot status')).toMatchObject({ exitCode: 2 });
  });
});
