/**
 * An update made to be matched tolerantly, as for a kernel that is laid out in another way: here the kernel is laid out
 * plainly, and the update has a section for each function. It is the other way to the same end.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { bootLiveGuest, guestKsplice, look, untouched } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, fixPatch } from '../support/live/update-file.ts';
import { TEST_RELEASE, testImage } from '../support/vm/test-kernel.ts';

const ID = 'tolerant';
const UPDATE = `/root/${ID}.ksplice`;

let folder: string;
let update: string;
let bundle: string;

beforeAll(async () => {
  bundle = await hostBundle();
  folder = await mkdtemp(join(tmpdir(), 'ksplice-tolerant-'));
  update = join(folder, `${ID}.ksplice`);
  await writeFile(join(folder, 'fix.patch'), await fixPatch());
  const flags = ['--patch', 'fix.patch', '--kernel', TEST_RELEASE, '--id', ID, '--match', 'tolerant'];
  const { exitCode, stderr } = await hostKsplice(bundle, ['create', ...flags, '-o', update], folder);
  expect(exitCode, stderr).toBe(0);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('fits the kernel at rest, and the result names the mode', async () => {
  const check = ['check', update, '--image', await testImage()];
  const { exitCode, stdout, stderr } = await hostKsplice(bundle, check, folder);
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toMatch(new RegExp(`fits ${TEST_RELEASE}, matched tolerantly$`, 'm'));
});

it('is applied to the running kernel, and undone', async () => {
  await using vm = await bootLiveGuest([{ path: UPDATE, from: update }]);
  expect(await look(vm)).toEqual(untouched);
  expect(await guestKsplice(vm, `check ${UPDATE}`)).toMatchObject({
    exitCode: 0,
    json: { mode: 'tolerant' },
  });
  expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({
    exitCode: 0,
    json: { updates: [{ id: ID, functions: [FIXED_FUNCTION], mode: 'tolerant' }] },
  });
  expect(await look(vm)).toMatchObject({ answer: 'EPERM', entries: [`${ID} applied`], trouble: [] });
  expect(await guestKsplice(vm, `undo ${ID}`)).toMatchObject({ exitCode: 0 });
  expect(await look(vm)).toEqual(untouched);
});
