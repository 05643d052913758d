/**
 * Two updates of one unit: the second finds the jump of the first in the code that it has to match.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { bootLiveGuest, guestKsplice, UPDATE } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, FIXED_SOURCE, UPDATE_ID } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

const SECOND = 'second';
const SECOND_UPDATE = `/root/${SECOND}.ksplice`;
const OTHER_FUNCTION = 'ip_options_undo';

/** A change of another function than the fix changes, in the same file. */
async function secondPatch(): Promise<string> {
  const { source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  const before = await readFile(join(source, FIXED_SOURCE), 'utf8');
  const after = before.replace('if (opt->rr_needaddr) {', 'if (opt->rr_needaddr && opt->rr) {');
  expect(after).not.toBe(before);
  return createTwoFilesPatch(`a/${FIXED_SOURCE}`, `b/${FIXED_SOURCE}`, before, after);
}

describe('two updates of one unit', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-two-'));
    const [patch, file] = [join(folder, 'second.patch'), join(folder, `${SECOND}.ksplice`)];
    await writeFile(patch, await secondPatch());
    const create = ['create', '--patch', patch, '--kernel', TEST_RELEASE, '--id', SECOND, '-o', file];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), create, folder);
    expect(exitCode, stderr).toBe(0);
    vm = await bootLiveGuest([{ path: SECOND_UPDATE, from: file }]);
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function applied(): Promise<readonly string[]> {
    return (await vm.run('cd /sys/kernel/ksplice 2>/dev/null && grep -l applied */stage')).stdout
      .trim()
      .split('\n')
      .map((path) => path.replace('/stage', ''))
      .toSorted();
  }

  it('of two functions are applied and undone in any order, and know each other by name', async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `check ${SECOND_UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { units: [{ explained: { [`the update ${UPDATE_ID}`]: 1 } }] },
    });
    expect(await guestKsplice(vm, `apply ${SECOND_UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ functions: [OTHER_FUNCTION] }] },
    });
    expect(await applied()).toEqual([UPDATE_ID, SECOND]);
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect(await applied()).toEqual([SECOND]);
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `undo ${SECOND}`)).toMatchObject({ exitCode: 0 });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
    expect((await vm.run('lsmod | grep -c ksplice')).stdout.trim()).toBe('0');
  });

  it('of the same function: the second is refused, and the first is named', async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    const again = await guestKsplice(vm, `check ${UPDATE}`);
    expect(again).toMatchObject({
      exitCode: 5,
      json: {
        code: 'module_busy',
        message: expect.stringContaining(`${UPDATE_ID} has changed ${FIXED_FUNCTION}`),
      },
    });
    expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
  });
});
