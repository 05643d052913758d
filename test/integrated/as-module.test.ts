/**
 * A kernel whose core is a module of its own: apply loads it with modprobe, and it goes with the last update.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../scripts/bundle.ts';
import { modularKernelParts } from '../../scripts/integrated/integrated-kernel.ts';
import { caseId, createCase } from '../support/case/create-case.ts';
import { judgeLog } from '../support/case/kernel-log.ts';
import { readCases } from '../support/case/read-cases.ts';
import { expectCreated, runCase } from '../support/case/run-case.ts';
import { testCacheDir } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';
import { bootOwn, flagsFor } from './boot.ts';

const CASE = 'static-function';
const BUILD_ID = '/sys/module/ksplice/notes/.note.gnu.build-id';

describe('on a kernel that has the core as a module', () => {
  let folder: string;
  let vm: Vm;
  let core: Buffer;
  let update: string;
  const testCase = readCases().find(({ name }) => name === CASE);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-module-'));
    const program = await buildBundle();
    const kernel = await modularKernelParts(testCacheDir());
    core = await readFile(kernel.core);
    const path = `/lib/modules/${kernel.release}/kernel/kernel/ksplice/ksplice.ko`;
    vm = await bootOwn({ kernel, program, files: [{ path, from: kernel.core }] });
    if (testCase === undefined) throw new Error(`test/cases/${CASE}: no such case`);
    const created = await createCase(testCase, program, folder, flagsFor(kernel));
    expectCreated(testCase, created);
    update = `/root/${caseId(testCase)}.ksplice`;
    await vm.put(update, await readFile(created.file));
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('a core that modprobe does not know of is not taken from the update instead', async () => {
    const { exitCode, stdout } = await vm.run(`ksplice apply ${update} --json`);
    expect({ exitCode, report: JSON.parse(stdout) as unknown }).toMatchObject({
      exitCode: 69,
      report: { code: 'core_incompatible', hint: expect.stringContaining('depmod') },
    });
    expect((await vm.run('cat /proc/modules')).stdout).toBe('');
    const { stderr } = await vm.run('/sbin/depmod');
    expect((await vm.run('/sbin/modprobe -n ksplice')).stderr, stderr).toBe('');
  });

  it('a case of the kernel proper is applied and undone, and nothing is left', async () => {
    if (testCase !== undefined) await runCase(vm, testCase, [], 'integrated');
  });

  it('the core that runs is the kernel’s module, not the one in the update', async () => {
    expect((await vm.run('grep "^ksplice " /proc/modules')).stdout).toBe('');
    expect((await vm.run(`ksplice apply ${update}`)).exitCode).toBe(0);
    const { stdout } = await vm.run('cut -d" " -f1 /proc/modules; cat /sys/module/ksplice/taint');
    // Its signature is not there to be checked (E); it is no module from outside (O).
    expect(stdout).toBe(`ksplice_${CASE.replaceAll('-', '_')}\nksplice\nE\n`);
    const buildId = await vm.get(BUILD_ID);
    expect(buildId.length).toBeGreaterThan(16);
    expect(core.includes(buildId)).toBe(true);
    expect((await vm.run(`ksplice undo ${CASE.replaceAll('-', '_')}`)).exitCode).toBe(0);
    expect((await vm.run('cat /proc/modules')).stdout).toBe('');
    expect(judgeLog(await vm.kernelLog(), [])).toEqual({ trouble: [], missing: [] });
  });
});
