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
import { buildDeb } from '../../src/packages/build-deb.ts';
import { run } from '../../src/process/run.ts';
import { debianDisk } from '../support/debian/debian-root.ts';
import { kernelPackage } from '../support/debian/kernel-package.ts';
import { DebianMachine } from '../support/debian/machine.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import { guestSource } from '../support/vm/guest-program.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

const NEXT_RELEASE = '6.1.0-50-cloud-amd64';
const UPDATE_PACKAGE = `ksplice-update-${UPDATE_ID.replaceAll('_', '-')}-${TEST_RELEASE}`;
const GOOD_AFTER_SECONDS = 20;

describe('a machine with the packages', { timeout: 1_800_000 }, () => {
  let folder: string;
  let disk: string;
  let packages: readonly string[];
  let machine: DebianMachine;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-boot-'));
    disk = join(folder, 'disk');
    const { deb } = await buildPackage(folder, 0);
    const kernel = join(folder, 'kernel.deb');
    await buildDeb(kernelPackage(TEST_RELEASE, '6.1.170-3', []), kernel);
    const update = join(folder, `${UPDATE_PACKAGE}.deb`);
    const made = await hostKsplice(await hostBundle(), ['deb', await updateFile(), '-o', update], folder);
    expect(made.exitCode, made.stderr).toBe(0);
    packages = [deb, update];
    await debianDisk(disk, [deb, kernel], testCacheDir());
    machine = await DebianMachine.boot(disk, TEST_RELEASE);
    await machine.vm.put(`/root/${basename(update)}`, await readFile(update));
  }, 1_800_000);

  afterAll(async () => {
    await machine?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('gets packages that are clean for lintian', async () => {
    const { stdout } = await run(['lintian', '--allow-root', '--fail-on', 'none', ...packages]);
    expect(stdout).toBe('');
  });

  it('is an ordinary one before', async () => {
    expect(await machine.answer()).toBe('ok');
    expect(await machine.run('ksplice view')).toEqual({ exitCode: 0, text: 'no updates\n' });
    expect(
      (
        await machine.run(
          'systemctl is-enabled ksplice.service ksplice-late.service ksplice-shutdown.service',
        )
      ).text,
    ).toBe('enabled\nenabled\nenabled\n');
    expect((await machine.run('systemctl show -P ConditionResult ksplice.service')).text).toBe('no\n');
    expect((await machine.run('systemctl is-active ksplice-shutdown.service')).text).toBe('active\n');
  });

  it('gets the update by its package, installed and applied', async () => {
    const { exitCode, text } = await machine.run(`dpkg -i /root/${UPDATE_PACKAGE}.deb`);
    expect(exitCode, text).toBe(0);
    expect(text).toContain(`${UPDATE_ID}: installed: applied whenever ${TEST_RELEASE} boots`);
    expect(await machine.answer()).toBe('EPERM');
    expect((await machine.run(`ksplice view ${UPDATE_ID}`)).text).toContain('at boot      applied');
  });

  it('completes commands, flags, their values and IDs in fish and in zsh', async () => {
    await machine.vm.put('/root/complete.zsh', await readFile(guestSource('complete.zsh')));
    const fish = async (typed: string): Promise<readonly string[]> => {
      const { text } = await machine.run(`fish -c "complete -C '${typed}'"`);
      return text.split('\n').flatMap((line) => (line === '' ? [] : [line.replace(/\t.*/, '')]));
    };
    const zsh = async (typed: string, seconds = 8): Promise<string> =>
      (await machine.run(`zsh -f /root/complete.zsh '${typed}' ${seconds}`)).text;
    expect(await fish('ksplice ap')).toEqual(['apply']);
    expect(await fish('ksplice boot ')).toEqual(['apply', 'good', 'retry', 'shutdown', 'status']);
    // Not those of ksplice apply.
    expect(await fish('ksplice boot apply --')).toEqual(['--help', '--json', '--quiet', '--verbose']);
    expect(await fish('ksplice apply --engine ')).toEqual(['jump', 'livepatch']);
    expect(await fish('ksplice undo ')).toEqual([UPDATE_ID]);
    expect(await zsh('ksplice ap')).toMatch(/^apply +-- Switch the running kernel/m);
    expect(await zsh('ksplice boot ')).toMatch(/^retry +-- Apply what is held back/m);
    expect(await zsh('ksplice boot apply --')).not.toContain('--engine');
    expect(await zsh('ksplice apply --engine ')).toMatch(/^jump +livepatch/m);
    expect(await zsh('ksplice undo ', 20)).toMatch(new RegExp(`^${UPDATE_ID}`, 'm'));
  });

  it('applies it after a shutdown that came soon: that is no crash', async () => {
    await machine.shutDown();
    await machine.switchOn();
    expect(await machine.answer()).toBe('EPERM');
    expect((await machine.run('journalctl -b -u ksplice.service')).text).toContain(`${UPDATE_ID}: applied`);
    expect(await machine.run('ksplice boot status')).toMatchObject({ exitCode: 0 });
    expect((await machine.run('systemctl is-active ksplice-good.timer')).text).toBe('active\n');
    // Before what is not part of the early boot.
    const { text } = await machine.run(
      'systemctl show -P ExecMainExitTimestampMonotonic ksplice.service; systemctl show -P ActiveEnterTimestampMonotonic sysinit.target',
    );
    const [applied = 0, sysinit = 0] = text.trim().split('\n').map(Number);
    expect(applied).toBeGreaterThan(0);
    expect(sysinit).toBeGreaterThan(applied);
  });

  it('holds it back after a crash that came soon, tells so, and comes up', async () => {
    expect(await machine.bootState()).toBe('trying');
    await machine.pullThePlug();
    await machine.switchOn();
    expect(await machine.answer()).toBe('ok');
    expect((await machine.run('journalctl -b -u ksplice.service')).text).toMatch(
      /held back: the machine went down soon after/,
    );
    expect((await machine.run('systemctl is-failed ksplice.service')).text).toBe('failed\n');
    const status = await machine.run('ksplice boot status');
    expect(status).toMatchObject({ exitCode: 2 });
    expect(status.text).toContain('ksplice boot retry');
    expect((await machine.run('ksplice view')).text).toContain('not applied: held back');
    expect((await machine.run('ksplice view --check')).exitCode).toBe(2);
  });

  it('goes on holding it back after a boot that went well', async () => {
    await machine.shutDown();
    await machine.switchOn();
    expect(await machine.answer()).toBe('ok');
    expect(await machine.run('ksplice boot status')).toMatchObject({ exitCode: 2 });
  });

  it('applies it when it is told to, and calls the boot good after a while', async () => {
    await machine.run(
      `mkdir -p /etc/systemd/system/ksplice-good.timer.d && printf '[Timer]\\nOnActiveSec=\\nOnActiveSec=${GOOD_AFTER_SECONDS}s\\n' >/etc/systemd/system/ksplice-good.timer.d/soon.conf && systemctl daemon-reload`,
    );
    const { exitCode, text } = await machine.run('ksplice boot retry');
    expect(exitCode, text).toBe(0);
    expect(await machine.answer()).toBe('EPERM');
    expect(await machine.bootState()).toBe('trying');
    await machine.run(
      `for i in $(seq 60); do grep -q '"state": "good"' /var/lib/ksplice/boot.json && break; sleep 1; done`,
    );
    expect(await machine.bootState()).toBe('good');
  });

  it('applies it after a power failure that came later', async () => {
    await machine.pullThePlug();
    await machine.switchOn();
    expect(await machine.answer()).toBe('EPERM');
  });

  it('does not with noksplice', async () => {
    await machine.shutDown();
    await machine.switchOn(TEST_RELEASE, 'noksplice');
    expect(await machine.answer()).toBe('ok');
    expect((await machine.run('ksplice view')).text).toContain('booted with noksplice');
    expect(await machine.run('ksplice boot apply')).toMatchObject({ exitCode: 0 });
    expect(await machine.answer()).toBe('ok');
  });

  it('does not on another kernel', async () => {
    await machine.shutDown();
    await machine.switchOn(NEXT_RELEASE);
    expect((await machine.run('grep ksplice /proc/modules')).text).toBe('');
    expect((await machine.run('ksplice view')).text).toBe(
      `${UPDATE_ID}: installed for ${TEST_RELEASE}, which is not running\n`,
    );
    expect(await machine.run('ksplice boot status')).toMatchObject({ exitCode: 0 });
  });

  it('is an ordinary one again when the packages are removed', async () => {
    await machine.shutDown();
    await machine.switchOn();
    expect(await machine.answer()).toBe('EPERM');
    const removed = await machine.run(`dpkg -r ${UPDATE_PACKAGE}`);
    expect(removed.exitCode, removed.text).toBe(0);
    expect(await machine.answer()).toBe('ok');
    expect(await machine.run('ksplice view')).toEqual({ exitCode: 0, text: 'no updates\n' });
    expect((await machine.run('ls -A /var/lib/ksplice/installed')).text).toBe('');
    const purged = await machine.run(`dpkg -P ${UPDATE_PACKAGE} ksplice`);
    expect(purged.exitCode, purged.text).toBe(0);
    const left =
      'find / -xdev -name "*ksplice*" -not -path "/var/log/*" -not -path "/root/*" -not -path "/etc/systemd/system/ksplice-good.timer.d*"';
    expect((await machine.run(left)).text).toBe('');
    expect(
      (
        await machine.run(
          'systemctl list-unit-files "ksplice*" --no-legend; cat /proc/modules | grep ksplice',
        )
      ).text,
    ).toBe('');
  });
});
