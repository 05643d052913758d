/**
 * `ksplice check`: everything that apply would find out, and nothing that it would change.
 */
import * as v from 'valibot';
import { beforeAll, describe, expect, it } from 'vitest';
import { HELD_UP } from '../support/case/kernel-log.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { bootLiveGuest, guestKsplice, UPDATE } from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testImage } from '../support/vm/test-kernel.ts';

const NEXT_RELEASE = '6.1.0-50-cloud-amd64';

const errorSchema = v.object({
  code: v.string(),
  message: v.string(),
  details: v.object({ running: v.array(v.string()), source: v.array(v.string()) }),
});

const inspectionSchema = v.object({
  check: v.object({ kernel: v.literal('running'), fits: v.literal(true) }),
  units: v.array(
    v.object({
      functions: v.array(
        v.object({
          name: v.string(),
          run: v.object({ address: v.string(), instructions: v.array(v.record(v.string(), v.unknown())) }),
        }),
      ),
    }),
  ),
});

let bundle: string;
let update: string;

beforeAll(async () => {
  [bundle, update] = [await hostBundle(), await updateFile()];
});

async function atRest(release: string, ...flags: readonly string[]): ReturnType<typeof hostKsplice> {
  return await hostKsplice(bundle, ['check', update, '--image', await testImage(release), ...flags], '/');
}

describe('a kernel at rest', () => {
  it('fits, and every symbol is known for a reason', async () => {
    const { exitCode, stdout, stderr } = await atRest(TEST_RELEASE, '-v');
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/ns_capable: 0xffffffff\w+, where the matched code refers to it/);
    expect(stdout).toMatch(new RegExp(`fits ${TEST_RELEASE}$`, 'm'));
  });

  it('of another version does not: the first difference, in both disassemblies', async () => {
    const { exitCode, stdout } = await atRest(NEXT_RELEASE, '--json');
    expect(exitCode).toBe(4);
    const error = v.parse(errorSchema, JSON.parse(stdout));
    expect(error).toMatchObject({
      code: 'no_match',
      message: expect.stringContaining(`${FIXED_FUNCTION}+0x`),
    });
    expect(error.details.running.length).toBeGreaterThan(2);
    expect(error.details.source.length).toBeGreaterThan(2);
    expect(error.details.running).not.toEqual(error.details.source);
  });

  it('that is no kernel is a mistake of who gave it', async () => {
    const { exitCode, stderr } = await hostKsplice(bundle, ['check', update, '--image', update], '/');
    expect(exitCode, stderr).toBe(65);
  });

  it('needs an image for --modules', async () => {
    const { exitCode } = await hostKsplice(bundle, ['check', update, '--modules', '/lib/modules'], '/');
    expect(exitCode).toBe(64);
  });
});

/** Modules, our files, how many lines the kernel log has. */
const LOOK_AROUND = `cat /proc/modules; ls /run/ksplice 2>/dev/null; dmesg | grep -vc '${HELD_UP}'`;

describe('the running kernel', () => {
  it('fits, is shown as it runs, and is left as it was', async () => {
    await using vm = await bootLiveGuest();
    const before = await vm.run(LOOK_AROUND);
    const { exitCode, json } = await guestKsplice(vm, `check ${UPDATE}`);
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({
      kernel: { release: TEST_RELEASE, running: true },
      units: [{ unit: 'net/ipv4/ip_options.o', matches: true, explained: { 'fentry: nop': 9 } }],
    });
    const inspected = await guestKsplice(vm, `inspect ${UPDATE} --running`);
    expect(inspected.exitCode, inspected.stderr).toBe(0);
    const [unit] = v.parse(inspectionSchema, inspected.json).units;
    const [shown] = unit?.functions ?? [];
    expect(shown?.name).toBe(FIXED_FUNCTION);
    const kallsyms = await vm.run(`grep ' ${FIXED_FUNCTION}$' /proc/kallsyms`);
    expect(kallsyms.stdout.trim().split(' ')[0]).toBe(shown?.run.address.slice(2));
    // Nothing is traced: where the object calls __fentry__, the kernel has written a nop.
    expect(shown?.run.instructions).toContainEqual(
      expect.objectContaining({ kind: 'fentry', offset: 0, bytes: '0f 1f 44 00 00' }),
    );
    const after = await vm.run(LOOK_AROUND);
    expect(after.stdout).toBe(before.stdout);
    const { exitCode: asUser } = await guestKsplice(vm, `check ${UPDATE}`, { uid: 1000 });
    expect(asUser).toBe(69);
  });
});
