/**
 * A Debian with systemd, on a disk, with the packages of the tool and of an update: what becomes of the update through boots, power
 * failures and shutdowns, and what is left when both packages go.
 *
 * The boots are one story, each on the disk that the one before has left.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackage } from '../../scripts/package.ts';
import { buildDeb, type DebianPackage } from '../../src/packages/build-deb.ts';
import { run } from '../../src/process/run.ts';
import { bootDebian, pullThePlug, shutDown } from '../support/debian/debian-guest.ts';
import { debianDisk } from '../support/debian/debian-root.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const NEXT_RELEASE = '6.1.0-50-cloud-amd64';
const KERNEL_VERSION = '6.1.170-3';
const UPDATE_PACKAGE = `ksplice-update-${UPDATE_ID.replaceAll('_', '-')}-${TEST_RELEASE}`;
const GOOD_AFTER_SECONDS = 20;

/** Stands for the kernel's package, of which the guest needs the name and the version only. */
const kernelPackage: DebianPackage = {
  control: {
    Package: `linux-image-${TEST_RELEASE}`,
    Version: KERNEL_VERSION,
    Architecture: 'amd64',
    Maintainer: 'nobody <nobody@localhost>',
    Description: 'stands for the kernel that QEMU was given',
  },
  files: [],
  scripts: {},
  time: 1_767_225_600,
  compression: 0,
};

describe('a machine with the packages', { timeout: 1_800_000 }, () => {
  let folder: string;
  let disk: string;
  let packages: readonly string[];
  let vm: Vm | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-boot-'));
    disk = join(folder, 'disk');
    const { deb } = await buildPackage(folder, 0);
    const kernel = join(folder, 'kernel.deb');
    await buildDeb(kernelPackage, kernel);
    const update = join(folder, `${UPDATE_PACKAGE}.deb`);
    const made = await hostKsplice(await hostBundle(), ['deb', await updateFile(), '-o', update], folder);
    expect(made.exitCode, made.stderr).toBe(0);
    packages = [deb, update];
    await debianDisk(disk, [deb, kernel], testCacheDir());
    vm = await bootDebian(disk, TEST_RELEASE);
    await vm.put(`/root/${basename(update)}`, await readFile(update));
  }, 1_800_000);

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function guest(command: string): Promise<{ readonly exitCode: number; readonly text: string }> {
    if (vm === undefined) throw new Error('no guest');
    const { exitCode, stdout, stderr } = await vm.run(command, { timeoutMs: 300_000 });
    return { exitCode, text: `${stdout}${stderr}` };
  }

  async function reboot(how: (vm: Vm) => Promise<void>, release = TEST_RELEASE, append = ''): Promise<void> {
    if (vm !== undefined) await how(vm);
    vm = undefined;
    vm = await bootDebian(disk, release, { append });
  }

  /** `EPERM` with the update, `ok` without. */
  async function answer(): Promise<string> {
    return (await guest('source_route 1000')).text.trim();
  }

  async function bootState(): Promise<string> {
    const { text } = await guest(`sed -n 's/.*"state": "\\(.*\\)".*/\\1/p' /var/lib/ksplice/boot.json`);
    return text.trim();
  }

  it('gets packages that are clean for lintian', async () => {
    const { stdout } = await run(['lintian', '--allow-root', '--fail-on', 'none', ...packages]);
    expect(stdout).toBe('');
  });

  it('is an ordinary one before', async () => {
    expect(await answer()).toBe('ok');
    expect(await guest('ksplice view')).toEqual({ exitCode: 0, text: 'no updates\n' });
    expect(
      (await guest('systemctl is-enabled ksplice.service ksplice-late.service ksplice-shutdown.service'))
        .text,
    ).toBe('enabled\nenabled\nenabled\n');
    expect((await guest('systemctl show -P ConditionResult ksplice.service')).text).toBe('no\n');
    expect((await guest('systemctl is-active ksplice-shutdown.service')).text).toBe('active\n');
  });

  it('gets the update by its package, installed and applied', async () => {
    const { exitCode, text } = await guest(`dpkg -i /root/${UPDATE_PACKAGE}.deb`);
    expect(exitCode, text).toBe(0);
    expect(text).toContain(`${UPDATE_ID}: installed: applied whenever ${TEST_RELEASE} boots`);
    expect(await answer()).toBe('EPERM');
    expect((await guest(`ksplice view ${UPDATE_ID}`)).text).toContain('at boot      applied');
  });

  it('applies it after a shutdown that came soon: that is no crash', async () => {
    await reboot(shutDown);
    expect(await answer()).toBe('EPERM');
    expect((await guest('journalctl -b -u ksplice.service')).text).toContain(`${UPDATE_ID}: applied`);
    expect(await guest('ksplice boot status')).toMatchObject({ exitCode: 0 });
    expect((await guest('systemctl is-active ksplice-good.timer')).text).toBe('active\n');
    // Before what is not part of the early boot.
    const { text } = await guest(
      'systemctl show -P ExecMainExitTimestampMonotonic ksplice.service; systemctl show -P ActiveEnterTimestampMonotonic sysinit.target',
    );
    const [applied = 0, sysinit = 0] = text.trim().split('\n').map(Number);
    expect(applied).toBeGreaterThan(0);
    expect(sysinit).toBeGreaterThan(applied);
  });

  it('holds it back after a crash that came soon, tells so, and comes up', async () => {
    expect(await bootState()).toBe('trying');
    await reboot(pullThePlug);
    expect(await answer()).toBe('ok');
    expect((await guest('journalctl -b -u ksplice.service')).text).toMatch(
      /held back: the machine went down soon after/,
    );
    expect((await guest('systemctl is-failed ksplice.service')).text).toBe('failed\n');
    const status = await guest('ksplice boot status');
    expect(status).toMatchObject({ exitCode: 2 });
    expect(status.text).toContain('ksplice boot retry');
    expect((await guest('ksplice view')).text).toContain('not applied: held back');
    expect((await guest('ksplice view --check')).exitCode).toBe(2);
  });

  it('goes on holding it back after a boot that went well', async () => {
    await reboot(shutDown);
    expect(await answer()).toBe('ok');
    expect(await guest('ksplice boot status')).toMatchObject({ exitCode: 2 });
  });

  it('applies it when it is told to, and calls the boot good after a while', async () => {
    await guest(
      `mkdir -p /etc/systemd/system/ksplice-good.timer.d && printf '[Timer]\\nOnActiveSec=\\nOnActiveSec=${GOOD_AFTER_SECONDS}s\\n' >/etc/systemd/system/ksplice-good.timer.d/soon.conf && systemctl daemon-reload`,
    );
    const { exitCode, text } = await guest('ksplice boot retry');
    expect(exitCode, text).toBe(0);
    expect(await answer()).toBe('EPERM');
    expect(await bootState()).toBe('trying');
    await guest(
      `for i in $(seq 60); do grep -q '"state": "good"' /var/lib/ksplice/boot.json && break; sleep 1; done`,
    );
    expect(await bootState()).toBe('good');
  });

  it('applies it after a power failure that came later', async () => {
    await reboot(pullThePlug);
    expect(await answer()).toBe('EPERM');
  });

  it('does not with noksplice', async () => {
    await reboot(shutDown, TEST_RELEASE, 'noksplice');
    expect(await answer()).toBe('ok');
    expect((await guest('ksplice view')).text).toContain('booted with noksplice');
    expect(await guest('ksplice boot apply')).toMatchObject({ exitCode: 0 });
    expect(await answer()).toBe('ok');
  });

  it('does not on another kernel', async () => {
    await reboot(shutDown, NEXT_RELEASE);
    expect((await guest('grep ksplice /proc/modules')).text).toBe('');
    expect((await guest('ksplice view')).text).toBe(
      `${UPDATE_ID}: installed for ${TEST_RELEASE}, which is not running\n`,
    );
    expect(await guest('ksplice boot status')).toMatchObject({ exitCode: 0 });
  });

  it('is an ordinary one again when the packages are removed', async () => {
    await reboot(shutDown);
    expect(await answer()).toBe('EPERM');
    const removed = await guest(`dpkg -r ${UPDATE_PACKAGE}`);
    expect(removed.exitCode, removed.text).toBe(0);
    expect(await answer()).toBe('ok');
    expect(await guest('ksplice view')).toEqual({ exitCode: 0, text: 'no updates\n' });
    expect((await guest('ls -A /var/lib/ksplice/installed')).text).toBe('');
    const purged = await guest(`dpkg -P ${UPDATE_PACKAGE} ksplice`);
    expect(purged.exitCode, purged.text).toBe(0);
    const left =
      'find / -xdev -name "*ksplice*" -not -path "/var/log/*" -not -path "/root/*" -not -path "/etc/systemd/system/ksplice-good.timer.d*"';
    expect((await guest(left)).text).toBe('');
    expect(
      (await guest('systemctl list-unit-files "ksplice*" --no-legend; cat /proc/modules | grep ksplice'))
        .text,
    ).toBe('');
  });
});
