/**
 * Updates that do not fit what runs: exit 4, the first difference shown, nothing left behind. Once the release
 * says so, and once only the code does.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootLiveGuest, guestKsplice, look, UPDATE, untouched, updated } from '../support/live/live-guest.ts';
import { otherSourceUpdate } from '../support/live/other-source-update.ts';
import { FIXED_FUNCTION } from '../support/live/update-file.ts';
import { TEST_RELEASE } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';

/** Debian's next build after the test kernel, 6.1.176-1: it has the fix already. */
const NEXT_RELEASE = '6.1.0-50-cloud-amd64';
/** The differing instruction is marked. */
const MARKED = new RegExp(`^> ${FIXED_FUNCTION}\\+0x[0-9a-f]+: +(?:[0-9a-f]{2} )+ +[a-z]+ `);

const mismatch = {
  code: 'no_match',
  message: expect.stringMatching(
    new RegExp(
      `ip_options\\.o: ${FIXED_FUNCTION}\\+0x[0-9a-f]+ \\(net/ipv4/ip_options\\.c:\\d+\\): found (?:[0-9a-f]{2} ?)+ in the kernel, expected (?:[0-9a-f]{2} ?)+$`,
    ),
  ),
  hint: expect.stringContaining('another source'),
  details: {
    unit: 'net/ipv4/ip_options.o',
    name: FIXED_FUNCTION,
    offset: expect.any(Number),
    line: { file: 'net/ipv4/ip_options.c', line: expect.any(Number) },
    running: expect.arrayContaining([expect.stringMatching(MARKED)]),
    source: expect.arrayContaining([expect.stringMatching(MARKED)]),
  },
};

function sides(json: unknown): readonly unknown[] {
  expect(json).toHaveProperty('details.running');
  expect(json).toHaveProperty('details.source');
  const details: unknown = typeof json === 'object' && json !== null && 'details' in json ? json.details : {};
  const fields: Readonly<Record<string, unknown>> = { ...Object(details) };
  return [fields['running'], fields['source']];
}

describe('the next kernel', () => {
  let vm: Vm;

  beforeAll(async () => {
    vm = await bootLiveGuest([], { release: NEXT_RELEASE });
  });

  afterAll(async () => {
    await vm?.close();
  });

  it('refuses the update by its code, with both disassemblies, and loads nothing', async () => {
    const before = await look(vm);
    expect(before).toEqual({ ...untouched, answer: 'EPERM' });
    const { exitCode, json } = await guestKsplice(vm, `apply ${UPDATE}`);
    expect(json).toMatchObject(mismatch);
    expect(exitCode).toBe(4);
    const [running, source] = sides(json);
    expect(running).not.toEqual(source);
    expect(await look(vm)).toEqual(before);
    expect((await vm.run('cat /proc/sys/kernel/tainted')).stdout).toBe('0\n');
  });
});

describe('the kernel of that release', () => {
  const FOREIGN = '/root/other-source.ksplice';
  let vm: Vm;

  beforeAll(async () => {
    vm = await bootLiveGuest([{ path: FOREIGN, contents: await otherSourceUpdate() }]);
  });

  afterAll(async () => {
    await vm?.close();
  });

  it('is the one that the update says it is for', async () => {
    expect((await vm.run('uname -r')).stdout).toBe(`${TEST_RELEASE}\n`);
    const { json } = await guestKsplice(vm, `view --file ${FOREIGN}`);
    expect(json).toMatchObject({ kernel: { release: TEST_RELEASE } });
  });

  it('refuses an update whose unit was compiled from other source, and unloads the core again', async () => {
    const { exitCode, json } = await guestKsplice(vm, `apply ${FOREIGN}`);
    expect(json).toMatchObject(mismatch);
    expect(exitCode).toBe(4);
    const [running, source] = sides(json);
    expect(running).not.toEqual(source);
    expect(await look(vm)).toEqual(untouched);
  });

  it('takes the good one afterwards, and keeps it when the other is refused for its ID', async () => {
    expect((await guestKsplice(vm, `apply ${UPDATE}`)).exitCode).toBe(0);
    const { exitCode, json } = await guestKsplice(vm, `apply ${FOREIGN}`);
    expect(json).toMatchObject({ code: 'id_taken' });
    expect(exitCode).toBe(2);
    expect(await look(vm)).toEqual(updated);
  });
});
