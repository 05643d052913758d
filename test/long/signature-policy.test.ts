/**
 * What signatures let pass, by the policy of a machine: what is applied there, and what `check` and `apply` refuse. On
 * an unmodified kernel, one guest for all; each test goes on where the one before it ended.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readUpdate } from '../../src/update/read-update.ts';
import { signUpdate } from '../../src/update/sign-update.ts';
import { generateKeys, parsePrivateKey, publicHalf } from '../../src/update/signing-keys.ts';
import { writeUpdate } from '../../src/update/write-update.ts';
import {
  bootLiveGuest,
  expectUndone,
  guestKsplice,
  look,
  UPDATE,
  updated,
} from '../support/live/live-guest.ts';
import { UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import type { GuestFile } from '../support/vm/initramfs.ts';
import type { Vm } from '../support/vm/vm.ts';

const release = generateKeys();

let vm: Vm;

function signed(bytes: Uint8Array, serial: number): Promise<Uint8Array> {
  return signUpdate(bytes, 'update', parsePrivateKey(release.private, 'key'), serial).then(
    (made) => made.bytes,
  );
}

/** With a serial that was not signed. */
function forged(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  return Buffer.from(text.replace('\nserial 5\n', '\nserial 9\n'), 'latin1');
}

beforeAll(async () => {
  const file = await updateFile();
  const good = await readFile(file);
  const other = await writeUpdate({ ...readUpdate(good, file), description: 'something else' });
  const five = await signed(good, 5);
  const updates = {
    five,
    four: await signed(good, 4),
    forged: forged(five),
    // The signature of one behind the members of another.
    moved: Buffer.concat([other.subarray(0, -1024), five.subarray(good.length - 1024)]),
  };
  const files: GuestFile[] = [{ path: '/root/release.pem', contents: Buffer.from(release.public) }];
  for (const [name, contents] of Object.entries(updates)) {
    files.push({ path: `/root/${name}.ksplice`, contents });
  }
  vm = await bootLiveGuest(files);
});

afterAll(async () => {
  await vm?.close();
});

/** By apply; check says the same, which is tried once. */
async function refused(path: string, code: string, exitCode = 2, command = 'apply'): Promise<void> {
  const before = await look(vm);
  const outcome = await guestKsplice(vm, `${command} ${path}`);
  expect([path, outcome.json]).toMatchObject([path, { code, hint: expect.any(String) }]);
  expect(outcome.exitCode).toBe(exitCode);
  expect(await look(vm)).toEqual(before);
}

const setPolicy = (mode: string): Promise<unknown> =>
  vm.run(`mkdir -p /etc/ksplice; echo 'signatures = ${mode}' >/etc/ksplice/policy`);

describe('signatures', () => {
  it('a machine where nothing was set up does not look at them', async () => {
    const { exitCode, json } = await guestKsplice(vm, 'check /root/forged.ksplice');
    expect(json).toMatchObject({ signature: { standing: 'not_checked', serial: 9 } });
    expect(exitCode).toBe(0);
  });

  it('of another file make a file malformed, whatever the policy: 65', async () => {
    await refused('/root/moved.ksplice', 'malformed_update', 65);
  });

  it('required, nothing passes but what a trusted key has signed', async () => {
    await setPolicy('require');
    await refused('/root/five.ksplice', 'unknown_key');
    expect(await guestKsplice(vm, 'key trust /root/release.pem')).toMatchObject({
      exitCode: 0,
      json: { name: 'release', policy: 'require' },
    });
    await refused(UPDATE, 'not_signed');
    await refused(UPDATE, 'not_signed', 2, 'check');
    await refused('/root/forged.ksplice', 'bad_signature');
    // Of two, none.
    await refused(`/root/five.ksplice ${UPDATE}`, 'not_signed');
  });

  it('trusted, it is applied; everybody is told who signed it', async () => {
    const who = { standing: 'trusted', signer: 'release', serial: 5 };
    expect(await guestKsplice(vm, 'check /root/five.ksplice')).toMatchObject({ json: { signature: who } });
    const applied = await vm.run('ksplice apply /root/five.ksplice');
    expect(applied.stdout).toContain(', signed by release, ');
    expect(await look(vm)).toEqual(updated);
    expect(await guestKsplice(vm, 'view')).toMatchObject({ json: { updates: [{ signature: who }] } });
    const key = publicHalf(parsePrivateKey(release.private, 'key')).id.slice(0, 16);
    expect((await vm.run(`ksplice view ${UPDATE_ID}`)).stdout).toContain(`release, key ${key}, serial 5`);
    await expectUndone(vm);
  });

  it('an update that is older than what was applied is refused, and one that is not signed, by `warn` too', async () => {
    await refused('/root/four.ksplice', 'older_update');
    await setPolicy('warn');
    await refused(UPDATE, 'not_signed');
  });

  it('warned of, an update that is not signed is applied where none was', async () => {
    await vm.run('rm /var/lib/ksplice/signed.json');
    const { exitCode, stderr } = await vm.run(`ksplice apply ${UPDATE}`);
    expect([exitCode, stderr]).toEqual([
      0,
      expect.stringContaining(`warning: ${UPDATE_ID}: it is not signed`),
    ]);
    expect((await vm.run(`ksplice view ${UPDATE_ID}`)).stdout).toMatch(/signed by +none/);
    await expectUndone(vm);
  });

  it('of a revoked key are refused', async () => {
    expect(await guestKsplice(vm, 'key revoke release')).toMatchObject({ exitCode: 0 });
    await refused('/root/five.ksplice', 'revoked_key');
    expect(await guestKsplice(vm, 'key trust /root/release.pem')).toMatchObject({ exitCode: 2 });
  });

  it('are not judged by files that others can write, or a policy that is not understood', async () => {
    await vm.run('chmod 666 /etc/ksplice/policy');
    await refused(UPDATE, 'unsafe_file');
    await vm.run('chmod 644 /etc/ksplice/policy; echo signatures = maybe >/etc/ksplice/policy');
    await refused(UPDATE, 'malformed_policy', 65);
    await vm.run('rm -r /etc/ksplice');
  });
});
