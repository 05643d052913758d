/**
 * What apply, undo and view are given and cannot use, on an unmodified kernel: the documented exit code, a code
 * for programs, and nothing changed. One guest serves all; what it forbids for good comes last.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readUpdate } from '../../src/update/read-update.ts';
import { readMembers } from '../../src/update/tar-members.ts';
import { writeUpdate } from '../../src/update/write-update.ts';
import { bootLiveGuest, guestKsplice, look, UPDATE, untouched, updated } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import type { GuestFile } from '../support/vm/initramfs.ts';
import type { Vm } from '../support/vm/vm.ts';

const OTHER_CONTENT = '/root/other-content.ksplice';
const USER = 1000;

/** Puts text over a part of a member's header and makes its checksum right again. */
function withHeader(file: Uint8Array, member: string, at: number, text: string): Uint8Array {
  const altered = new Uint8Array(file);
  const start = readMembers(file, 'good').find(({ name }) => name === member)?.offset ?? Number.NaN;
  const header = altered.subarray(start, start + 512);
  header.set(new TextEncoder().encode(text), at);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  return altered;
}

/** Flips one bit in the middle of a member. */
function withFlip(file: Uint8Array, member: string): Uint8Array {
  const altered = new Uint8Array(file);
  const found = readMembers(file, 'good').find(({ name }) => name === member);
  const place = (found?.offset ?? Number.NaN) + 512 + ((found?.bytes.length ?? 0) >> 1);
  altered[place] = (altered[place] ?? 0) ^ 1;
  return altered;
}

/** Each with what the message must name. */
function damaged(good: Uint8Array): readonly (readonly [name: string, bytes: Uint8Array, place: string])[] {
  return [
    ['empty', new Uint8Array(), '0 bytes'],
    ['cut-in-header', good.subarray(0, 300), '300 bytes'],
    ['cut-in-manifest', good.subarray(0, 1000), 'manifest.json'],
    ['cut-in-half', good.subarray(0, good.length >> 1), 'bytes left in the file'],
    ['cut-at-the-end', good.subarray(0, -1), 'at the end'],
    ['altered-manifest', withFlip(good, 'manifest.json'), 'manifest'],
    ['altered-object', withFlip(good, 'units/0/pre.o'), 'units/0/pre.o'],
    ['altered-core', withFlip(good, 'core.ko'), 'core.ko'],
    ['path-out', withHeader(good, 'core.ko', 0, '../core.ko'), '../core.ko'],
    ['huge', withHeader(good, 'core.ko', 124, '77777777777'), 'core.ko: found 8589934591 bytes'],
    ['negative', withHeader(good, 'core.ko', 124, '-0000000001'), 'octal'],
  ];
}

let vm: Vm;
let cases: ReturnType<typeof damaged>;

beforeAll(async () => {
  const file = await updateFile();
  const bytes = await readFile(file);
  const good = readUpdate(bytes, file);
  cases = damaged(bytes);
  const files: GuestFile[] = [
    { path: OTHER_CONTENT, contents: await writeUpdate({ ...good, description: 'something else' }) },
    ...cases.map(([name, contents]) => ({ path: `/root/${name}.ksplice`, contents })),
  ];
  vm = await bootLiveGuest(files);
});

afterAll(async () => {
  await vm?.close();
});

/** Runs the command, which must fail like this, and leave the guest as it found it. */
async function refused(
  command: string,
  exitCode: number,
  error: Readonly<Record<string, unknown>>,
  options: { readonly uid?: number; readonly before?: string } = {},
): Promise<void> {
  const before = await look(vm);
  const outcome = await guestKsplice(vm, command, options);
  expect(outcome.json).toMatchObject({ message: expect.any(String), ...error });
  expect(outcome.exitCode).toBe(exitCode);
  expect(await look(vm)).toEqual(before);
}

describe('nothing is changed by', () => {
  it('a damaged update file: 65, with the place', async () => {
    for (const [name, , place] of cases) {
      const command = `apply /root/${name}.ksplice`;
      await refused(command, 65, { code: 'malformed_update', message: expect.stringContaining(place) });
    }
    expect(await look(vm)).toEqual(untouched);
  });

  it('a damaged file after a good one: all are read before the first is applied', async () => {
    await refused(`apply ${UPDATE} /root/altered-core.ksplice`, 65, { code: 'malformed_update' });
    expect(await look(vm)).toEqual(untouched);
  });

  it('somebody who is not root: 69', async () => {
    await vm.run(`cp ${UPDATE} /tmp/update.ksplice; chmod 644 /tmp/update.ksplice`);
    const error = { code: 'not_root', hint: expect.stringContaining('sudo') };
    await refused('apply /tmp/update.ksplice', 69, error, { uid: USER });
    await refused(`undo ${UPDATE_ID}`, 69, error, { uid: USER });
  });

  it('a kernel without /proc/kcore: 69', async () => {
    await vm.run('touch /tmp/empty; mount --bind /tmp/empty /proc/kcore');
    try {
      const message = expect.stringContaining('/proc/kcore');
      await refused(`apply ${UPDATE}`, 69, { code: 'no_kcore', message });
    } finally {
      await vm.run('umount /proc/kcore');
    }
    // As in a container whose /proc shows processes only: there the file does not exist.
    await refused(`apply ${UPDATE}`, 69, { code: 'no_kcore' }, { before: PROCESSES_ONLY });
  });

  it('a kernel that hides its addresses from root too: 69', async () => {
    await vm.run('echo 2 >/proc/sys/kernel/kptr_restrict');
    try {
      const hint = expect.stringContaining('kptr_restrict');
      await refused(`apply ${UPDATE}`, 69, { code: 'kallsyms_hidden', hint });
    } finally {
      await vm.run('echo 0 >/proc/sys/kernel/kptr_restrict');
    }
    expect(await look(vm)).toEqual(untouched);
  });

  it('undo and view of what is not applied: 64', async () => {
    for (const command of [
      `undo ${UPDATE_ID}`,
      'undo no_such_update',
      'undo ../../etc',
      'view no_such_update',
    ]) {
      await refused(command, 64, { code: 'unknown_update' });
    }
  });
});

/** `unshare` gives the command a mount namespace, so the guest's own /proc stays. */
const PROCESSES_ONLY = 'unshare -m sh -c \'mount -t proc -o subset=pid proc /proc && exec "$@"\' sh';

describe('with the update applied', () => {
  it('by two commands at once, the kernel has it once', async () => {
    const started = [
      await vm.start(`ksplice apply ${UPDATE} --json`),
      await vm.start(`ksplice apply ${UPDATE} --json`),
    ];
    const ends = await Promise.all(started.map((each) => each.wait()));
    expect(ends.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const already = ends.map(({ stdout }) => /"alreadyApplied": (\w+)/.exec(stdout)?.[1]);
    expect(new Set(already)).toEqual(new Set(['false', 'true']));
    expect(await look(vm)).toEqual(updated);
    expect(await vm.kernelLog()).toMatch(/update cve_2026_53249 applied: 1 function,/);
    expect((await vm.kernelLog()).match(/ applied: /g)).toHaveLength(1);
  });

  it('applying it again says so: 0', async () => {
    const again = await vm.run(`ksplice apply ${UPDATE}`);
    expect(again.stdout).toBe(`${UPDATE_ID}: applied already, nothing to do\n`);
    expect(again.exitCode).toBe(0);
    expect(await look(vm)).toEqual(updated);
  });

  it('another update with its ID is refused: 2', async () => {
    await refused(`apply ${OTHER_CONTENT}`, 2, { code: 'id_taken', hint: expect.stringContaining('undo') });
    const { json } = await guestKsplice(vm, `view ${UPDATE_ID}`);
    expect(json).toMatchObject({ updates: [{ stage: 'applied', functions: [FIXED_FUNCTION] }] });
    expect(JSON.stringify(json)).not.toContain('something else');
  });

  it('its module and the core cannot be unloaded', async () => {
    for (const module of [`ksplice_${UPDATE_ID}`, 'ksplice']) {
      const { exitCode, stderr } = await vm.run(`/sbin/rmmod ${module}`);
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain('in use');
    }
    expect(await look(vm)).toEqual(updated);
  });

  it('the core takes no stage change that is not allowed, and no word that it does not know', async () => {
    const stage = `/sys/kernel/ksplice/${UPDATE_ID}/stage`;
    for (const write of [
      `echo applied >${stage}`,
      `echo preparing >${stage}`,
      `echo nonsense >${stage}`,
      'echo nonsense >/sys/kernel/ksplice/control',
      'echo create ../x >/sys/kernel/ksplice/control',
      `echo create ${UPDATE_ID} >/sys/kernel/ksplice/control`,
      `echo forget ${UPDATE_ID} >/sys/kernel/ksplice/control`,
      `echo forget no_such_update >/sys/kernel/ksplice/control`,
    ]) {
      expect((await vm.run(write)).exitCode, write).not.toBe(0);
    }
    expect(await look(vm)).toEqual(updated);
  });

  it('nobody but root sees or undoes it: 69', async () => {
    await refused(`undo ${UPDATE_ID}`, 69, { code: 'not_root' }, { uid: USER });
    await refused('view', 69, { code: 'not_root' }, { uid: USER });
  });

  it('a machine that allows no modules any more still undoes it, and takes no other: 69', async () => {
    await vm.run('echo 1 >/proc/sys/kernel/modules_disabled');
    await refused(`apply ${UPDATE}`, 69, { code: 'modules_disabled' });
    const { json } = await guestKsplice(vm, `undo ${UPDATE_ID}`);
    expect(json).toMatchObject({ updates: [{ id: UPDATE_ID, functions: [FIXED_FUNCTION] }] });
    const after = await look(vm);
    expect(after.answer).toBe('ok');
    expect(after.trouble).toEqual([]);
    await refused(`apply ${UPDATE}`, 69, { code: 'modules_disabled' });
  });
});
