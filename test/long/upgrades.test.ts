/**
 * A Debian with systemd that gets ksplice and its updates by apt: newer updates, a newer tool, an update of a module that is loaded late
 * in the boot, and a kernel that panics.
 *
 * One story on one disk. Two archives lie on it, an older and a newer one.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackage } from '../../scripts/package.ts';
import { buildDeb } from '../../src/packages/build-deb.ts';
import { run } from '../../src/process/run.ts';
import { patchFile } from '../support/case/read-cases.ts';
import { type DiskFile, debianDisk } from '../support/debian/debian-root.ts';
import { kernelPackage } from '../support/debian/kernel-package.ts';
import { DebianMachine } from '../support/debian/machine.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { FIXED_FUNCTION, fixPatch, UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir, testModule } from '../support/vm/test-kernel.ts';

const UPDATE_PACKAGE = `ksplice-update-${UPDATE_ID.replaceAll('_', '-')}-${TEST_RELEASE}`;
const VLAN_PACKAGE = `ksplice-update-vlan-${TEST_RELEASE}`;
/** 8021q and what it needs. */
const MODULES = ['llc', 'stp', 'garp', 'mrp', '8021q'];
const ARCHIVES = '/srv/archive';

/** Loads the module when all that is early in the boot is over. */
const VLAN_UNIT: readonly DiskFile[] = [
  {
    path: '/etc/systemd/system/vlan.service',
    contents:
      '[Unit]\nDescription=Load 8021q late\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/sbin/modprobe 8021q\n',
  },
  {
    path: '/etc/systemd/system/multi-user.target.d/vlan.conf',
    contents: '[Unit]\nWants=vlan.service\n',
  },
];

/** The same package with a later version. */
async function renewed(deb: string, version: string, folder: string): Promise<string> {
  const tree = join(folder, 'renewed');
  await run(['dpkg-deb', '--raw-extract', deb, tree]);
  const control = join(tree, 'DEBIAN', 'control');
  await writeFile(
    control,
    (await readFile(control, 'utf8')).replace(/^Version: .*$/m, `Version: ${version}`),
  );
  const made = join(folder, `ksplice_${version}_amd64.deb`);
  await run(['dpkg-deb', '--root-owner-group', '-Zxz', '-z0', '--build', tree, made]);
  await rm(tree, { recursive: true });
  return made;
}

/** An archive that apt reads from a directory, as files for a disk. */
async function archive(name: string, debs: readonly string[], folder: string): Promise<readonly DiskFile[]> {
  const at = join(folder, name);
  await mkdir(at);
  for (const deb of debs) await copyFile(deb, join(at, basename(deb)));
  const { stdout } = await run(['dpkg-scanpackages', '--multiversion', '.'], { cwd: at });
  const files = debs.map(async (deb) => ({
    path: `${ARCHIVES}/${name}/${basename(deb)}`,
    contents: await readFile(deb),
  }));
  return [{ path: `${ARCHIVES}/${name}/Packages`, contents: stdout }, ...(await Promise.all(files))];
}

const viewSchema = v.object({
  updates: v.array(
    v.object({
      id: v.string(),
      stage: v.string(),
      functions: v.array(v.string()),
      appliedAt: v.nullable(v.string()),
      atBoot: v.boolean(),
    }),
  ),
});
type Shown = v.InferOutput<typeof viewSchema>['updates'][number];

describe('a machine that apt keeps up to date', { timeout: 1_800_000 }, () => {
  let folder: string;
  let machine: DebianMachine;

  async function made(id: string, patches: readonly string[]): Promise<string> {
    const file = join(folder, `${id}-new.ksplice`);
    const flags = patches.flatMap((patch) => ['--patch', patch]);
    const args = ['create', ...flags, '--kernel', TEST_RELEASE, '--id', id, '-o', file];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), args, folder);
    expect(exitCode, stderr).toBe(0);
    return file;
  }

  async function packaged(file: string, name: string, version: string): Promise<string> {
    const deb = join(folder, `${name}_${version}_amd64.deb`);
    const args = ['deb', file, '--package-version', version, '-o', deb];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), args, folder);
    expect(exitCode, stderr).toBe(0);
    return deb;
  }

  async function shown(id: string): Promise<Shown | undefined> {
    const { exitCode, text } = await machine.run('ksplice view --json');
    expect(exitCode, text).toBe(0);
    const { updates } = v.parse(viewSchema, JSON.parse(text));
    return updates.find((update) => update.id === id);
  }

  async function apt(words: string): Promise<string> {
    const { exitCode, text } = await machine.run(`DEBIAN_FRONTEND=noninteractive apt-get -q -y ${words}`);
    expect(exitCode, text).toBe(0);
    return text;
  }

  async function useArchive(name: string): Promise<void> {
    await machine.run(`echo 'deb [trusted=yes] file:${ARCHIVES}/${name} ./' >/etc/apt/sources.list`);
    await apt('update');
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-upgrades-'));
    const { deb } = await buildPackage(folder, 0);
    const kernel = join(folder, 'kernel.deb');
    const modules = MODULES.map(async (name) => ({
      path: `lib/modules/${TEST_RELEASE}/kernel/net/${name}.ko`,
      from: await testModule(name),
    }));
    await buildDeb(kernelPackage(TEST_RELEASE, '6.1.170-3', await Promise.all(modules)), kernel);
    const fix = join(folder, 'fix.patch');
    await writeFile(fix, await fixPatch());
    const vlan = await made('vlan', [patchFile('module', 'fix.patch')]);
    const cumulative = await made(UPDATE_ID, [fix, patchFile('static-function', 'fix.patch')]);
    const older = await archive(
      'older',
      [await packaged(await updateFile(), UPDATE_PACKAGE, '1'), await packaged(vlan, VLAN_PACKAGE, '1')],
      folder,
    );
    const newer = await archive(
      'newer',
      [await packaged(cumulative, UPDATE_PACKAGE, '2'), await renewed(deb, '9.0.0', folder)],
      folder,
    );
    const disk = join(folder, 'disk');
    await debianDisk(disk, [deb, kernel], testCacheDir(), [...older, ...newer, ...VLAN_UNIT]);
    machine = await DebianMachine.boot(disk, TEST_RELEASE);
  }, 1_800_000);

  afterAll(async () => {
    await machine?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('gets updates from an archive, also one that has to wait for its module', async () => {
    await useArchive('older');
    const said = await apt(`install ${UPDATE_PACKAGE} ${VLAN_PACKAGE}`);
    expect(said).toContain(`${UPDATE_ID}: applied`);
    expect(await machine.answer()).toBe('EPERM');
    expect(await shown(UPDATE_ID)).toMatchObject({ stage: 'applied', functions: [FIXED_FUNCTION] });
    expect((await machine.run(`dpkg-query -W -f '\${db:Status-Status}' ${VLAN_PACKAGE}`)).text).toBe(
      'installed',
    );
  });

  it('leaves updates as they are when the tool is upgraded: applied ones applied, undone ones undone', async () => {
    const before = await shown(UPDATE_ID);
    await useArchive('newer');
    await apt('install --only-upgrade ksplice');
    expect((await machine.run(`dpkg-query -W -f '\${Version}' ksplice`)).text).toBe('9.0.0');
    expect(await shown(UPDATE_ID)).toMatchObject({ stage: 'applied', appliedAt: before?.appliedAt });
    expect((await machine.run('systemctl is-active ksplice-shutdown.service')).text).toBe('active\n');

    expect((await machine.run(`ksplice undo ${UPDATE_ID}`)).exitCode).toBe(0);
    await apt('install --reinstall ksplice');
    expect(await machine.answer()).toBe('ok');
    expect((await machine.run('systemctl is-active ksplice-shutdown.service')).text).toBe('active\n');
    expect(
      (await machine.run(`ksplice apply /usr/share/ksplice/updates/${UPDATE_PACKAGE}/${UPDATE_ID}.ksplice`))
        .exitCode,
    ).toBe(0);
  });

  it('takes a newer update of that ID in the place of the old one, with what is in both applied', async () => {
    const said = await apt('upgrade');
    expect(said).toContain(`${UPDATE_ID}: undone`);
    expect(await machine.answer()).toBe('EPERM');
    expect((await machine.run('cat /proc/version')).text).toMatch(/^patched: Linux version/);
    const now = await shown(UPDATE_ID);
    expect(now).toMatchObject({ stage: 'applied', atBoot: true });
    expect(now?.functions.toSorted()).toEqual([FIXED_FUNCTION, 'version_proc_show']);
    expect((await machine.run('ls /var/lib/ksplice/installed/*')).text).toMatch(
      new RegExp(`${UPDATE_ID}\\.ksplice\\nvlan\\.ksplice\\n$`),
    );
  });

  it('applies later in the boot what waits for a module', async () => {
    await machine.shutDown();
    await machine.switchOn();
    expect(await machine.answer()).toBe('EPERM');
    const early = (await machine.run('journalctl -b -u ksplice.service -o cat')).text;
    expect(early).toMatch(/vlan: .*8021q/);
    await machine.run('systemctl is-system-running --wait');
    const late = (await machine.run('journalctl -b -u ksplice-late.service -o cat')).text;
    expect(late).toContain('vlan: applied');
    expect((await machine.run('systemctl show -P Result ksplice-late.service')).text).toBe('success\n');
    expect(await shown('vlan')).toMatchObject({ stage: 'applied', atBoot: true });
    expect((await machine.run('head -n 1 /proc/net/vlan/config')).text).toMatch(/^VLAN dev name/);
    expect(await machine.run('ksplice boot status')).toMatchObject({ exitCode: 0 });
    expect((await machine.run('ls -A /run/ksplice/later')).exitCode).not.toBe(0);
  });

  it('holds them back when the kernel has panicked soon after', async () => {
    expect(await machine.bootState()).toBe('trying');
    const said = await machine.endWith('echo c >/proc/sysrq-trigger');
    expect(said).toContain('sysrq triggered crash');
    await machine.switchOn();
    expect(await machine.answer()).toBe('ok');
    expect((await machine.run('cat /proc/version')).text).toMatch(/^Linux version/);
    const status = await machine.run('ksplice boot status');
    expect(status).toMatchObject({ exitCode: 2 });
    expect(status.text).toContain('ksplice boot retry');
    // Nothing is tried again later in the boot.
    await machine.run('systemctl is-system-running --wait');
    expect((await machine.run('grep ksplice /proc/modules')).text).toBe('');
  });

  it('takes the updates away when their packages are purged', async () => {
    await machine.run('ksplice boot retry');
    expect(await machine.answer()).toBe('EPERM');
    await apt(`purge ${UPDATE_PACKAGE} ${VLAN_PACKAGE}`);
    expect(await machine.answer()).toBe('ok');
    expect(await machine.run('ksplice view')).toEqual({ exitCode: 0, text: 'no updates\n' });
  });
});
