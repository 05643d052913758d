/**
 * A kernel that takes signed modules only (module.sig_enforce, lockdown), and whose own key we have, since we have built it: updates that
 * were linked and signed at rest, and such that are linked on the machine and signed with its key.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { integratedKernelParts } from '../../scripts/integrated/integrated-kernel.ts';
import { buildBundle } from '../support/bundle.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { guestKsplice, type LiveState, look, untouched } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, fixPatch, UPDATE_ID } from '../support/live/update-file.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import { type GuestFile, sharedLibraries } from '../support/vm/initramfs.ts';
import { testCacheDir } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';

const OPENSSL = '/usr/bin/openssl';
const MODULE = `ksplice_${UPDATE_ID}`;
const LIVEPATCH = `/sys/kernel/livepatch/${MODULE}`;
const SETTLED = `i=0; until [ "$(cat ${LIVEPATCH}/transition)" = 0 ]; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done`;
/** The core is part of this kernel. */
const idle: LiveState = { ...untouched, entries: [] };

/** What signs on the machine. */
async function openssl(): Promise<readonly GuestFile[]> {
  const libraries = await sharedLibraries(OPENSSL);
  return [OPENSSL, ...libraries.filter((file) => /lib(?:ssl|crypto)\.so/.test(file))].map((file) => ({
    path: file,
    from: file,
    mode: 0o755,
  }));
}

/** How a kernel comes to that, and what insmod says of a module without a signature. */
const KERNELS = [
  { append: 'module.sig_enforce=1', why: 'module.sig_enforce', unsigned: 'Key was rejected by service' },
  { append: 'lockdown=integrity', why: 'lockdown=integrity', unsigned: 'Operation not permitted' },
] as const;

describe.each(KERNELS)('where only signed modules are loaded: $append', ({ append, why, unsigned }) => {
  const kernel = integratedKernelParts(testCacheDir());
  /** Key and certificate in one file, as certs/Makefile makes it. */
  const signingKey = join(kernel.build, 'certs', 'signing_key.pem');
  let folder: string;
  let vm: Vm;

  async function ksplice(...argv: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), argv, folder);
    expect(exitCode, stderr).toBe(0);
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-signed-'));
    const { source, config, image } = kernel;
    await writeFile(join(folder, 'fix.patch'), await fixPatch());
    const made = ['--source', source, '--config', config, '--image', image, '--id', UPDATE_ID];
    await ksplice('create', '--patch', 'fix.patch', ...made, '-o', 'fix.ksplice');
    const linked = ['link', 'fix.ksplice', '--image', image];
    await ksplice(...linked, '-o', 'unsigned.ko');
    const key = ['--sign-key', signingKey, '--sign-cert', signingKey, '--sign-hash', 'sha512'];
    await ksplice(...linked, '-o', 'signed.ko', ...key);
    const altered = await readFile(join(folder, 'signed.ko'));
    altered[0x48] = (altered[0x48] ?? 0) ^ 1;
    await writeFile(join(folder, 'altered.ko'), altered);
    const cacheDir = testCacheDir();
    vm = await Vm.boot({
      image,
      cacheDir,
      bundle: await buildBundle(cacheDir),
      append,
      files: [
        { path: '/bin/source_route', from: await compileGuest('source_route', cacheDir), mode: 0o755 },
        { path: '/root/machine.pem', from: signingKey, mode: 0o600 },
        ...(await openssl()),
        ...['fix.ksplice', 'unsigned.ko', 'signed.ko', 'altered.ko'].map((name) => ({
          path: `/root/${name}`,
          from: join(folder, name),
        })),
      ],
    });
    // As systemd does: the kernel says there whether it is locked down.
    const mounted = await vm.run('mount -t securityfs securityfs /sys/kernel/security');
    expect(mounted).toMatchObject({ exitCode: 0, stderr: '' });
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.for([
    ['unsigned', unsigned],
    ['altered', 'Key was rejected by service'],
  ] as const)('an update whose module is %s is not loaded', async ([name, refusal]) => {
    const { exitCode, stderr } = await vm.run(`insmod /root/${name}.ko`);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(refusal);
    expect(await look(vm)).toEqual(idle);
  });

  it('apply says what is missing, before it does anything', async () => {
    for (const engine of ['jump', 'livepatch']) {
      expect(await guestKsplice(vm, `apply --engine ${engine} /root/fix.ksplice`)).toMatchObject({
        exitCode: 69,
        json: { code: 'lockdown', message: expect.stringContaining(why) },
      });
    }
    expect(await look(vm)).toEqual(idle);
  });

  it('one that was linked and signed at rest is loaded, seen and undone', async () => {
    const loaded = await vm.run('insmod /root/signed.ko || dmesg | tail -n 5 >&2');
    expect(loaded).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await vm.run(SETTLED)).exitCode).toBe(0);
    expect(await look(vm)).toEqual({ ...idle, modules: [MODULE], answer: 'EPERM' });
    expect(await guestKsplice(vm, 'view')).toMatchObject({
      json: {
        updates: [{ id: UPDATE_ID, stage: 'applied', engine: 'livepatch', functions: [FIXED_FUNCTION] }],
      },
    });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await look(vm)).toEqual(idle);
    // Neither unsigned (E) nor forced (F); out of tree (O) and a livepatch (K) it is.
    const tainted = Number((await vm.run('cat /proc/sys/kernel/tainted')).stdout);
    expect(tainted & ((1 << 13) | (1 << 1))).toBe(0);
    expect(tainted & (1 << 15)).not.toBe(0);
  });

  it('what is linked on the machine is signed with the key that the machine has for it', async () => {
    const paths = 'key = /root/machine.pem\ncertificate = /root/machine.pem\nhash = sha512\n';
    expect((await vm.run('mkdir -p /etc/ksplice')).exitCode).toBe(0);
    await vm.put('/etc/ksplice/module-signing', paths);
    for (const engine of ['jump', 'livepatch']) {
      const applied = await guestKsplice(vm, `apply --engine ${engine} /root/fix.ksplice`);
      expect(applied, (await vm.run('dmesg | tail -n 5')).stdout).toMatchObject({
        exitCode: 0,
        json: { updates: [{ id: UPDATE_ID, engine }] },
      });
      expect((await look(vm)).answer).toBe('EPERM');
      expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
      expect(await look(vm)).toEqual(idle);
    }
    expect((await vm.run('ls -A /run/ksplice')).stdout).toBe('lock\n');
  });
});
