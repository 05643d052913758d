/**
 * The folders of test/cases on a kernel that carries the core: the same results, and no core out of an update file.
 *
 * The kernel is small: it has what the cases change and look at, but for what is listed here, each with its reason. The list is
 * exact, so that a configuration which has lost something does not make a case vanish.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../scripts/bundle.ts';
import { integratedKernelParts } from '../../scripts/integrated/integrated-kernel.ts';
import { run } from '../../src/process/run.ts';
import { caseId, createCase } from '../support/case/create-case.ts';
import { readCases } from '../support/case/read-cases.ts';
import { expectCreated, expectRefusal, runCase } from '../support/case/run-case.ts';
import { testCacheDir, testModule } from '../support/vm/test-kernel.ts';
import type { Vm } from '../support/vm/vm.ts';
import { bootOwn, flagsFor } from './boot.ts';

/** What this kernel does not have. */
const ABSENT: ReadonlyMap<string, string> = new Map([
  ['export-crc', 'fs/mbcache.c comes with ext4'],
  ['percpu-resized', 'kernel/user-return-notifier.c comes with KVM'],
]);
/** Cases that change modules, of which this kernel has none. */
const OF_MODULES = [
  'assembly-module',
  'hooks-module',
  'module',
  'new-globals',
  'three-units',
  'two-modules',
] as const;

const all = readCases();
const cases = all
  .filter(({ modules }) => modules.length === 0)
  .toSorted((a, b) => Number(a.resident) - Number(b.resident));

describe('on a kernel that carries the core', () => {
  const kernel = integratedKernelParts(testCacheDir());
  const flags = flagsFor(kernel);
  let folder: string;
  let program: string;
  let vm: Vm;
  let applied: string;
  const residents: string[] = [];
  const inside: string[] = [];
  const refused: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-integrated-'));
    program = await buildBundle();
    vm = await bootOwn({ program });
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('the core is there, and says that it is the kernel’s', async () => {
    const { stdout } = await vm.run(
      'ksplice view --json; grep -c "^ksplice " /proc/modules; ls -d /sys/module/ksplice',
    );
    expect(stdout).toContain('"operation": "integrated"');
    expect(stdout).toMatch(/^0$/m);
    expect(stdout).not.toContain('/sys/module/ksplice');
  });

  for (const testCase of cases) {
    it(`${testCase.name}: ${testCase.about}`, async () => {
      const update = await createCase(testCase, program, folder, flags);
      const isAbsent = update.stdout.includes('not in this configuration');
      expect({ isAbsent, stdout: update.stdout }).toMatchObject({ isAbsent: ABSENT.has(testCase.name) });
      if (isAbsent) return;
      if (testCase.createRefusal !== undefined) {
        expectRefusal(testCase.createRefusal, update);
        refused.push(testCase.name);
        return;
      }
      expectCreated(testCase, update);
      applied = update.file;
      await vm.put(`/root/${caseId(testCase)}.ksplice`, await readFile(update.file));
      await runCase(vm, testCase, residents, 'integrated');
      inside.push(testCase.name);
      if (testCase.resident) residents.push(caseId(testCase));
    });
  }

  it('had every case but those that are known not to be for it', () => {
    process.stdout.write(
      `${inside.length} cases applied and undone, ${refused.length} refused as they should\n${[
        ...[...ABSENT].map(([name, why]) => `not in this kernel: ${name}: ${why}\n`),
        ...OF_MODULES.map((name) => `not in this kernel: ${name}: it changes modules\n`),
      ].join('')}`,
    );
    const left = [...ABSENT.keys(), ...OF_MODULES];
    expect([...inside, ...refused, ...left].toSorted()).toEqual(all.map(({ name }) => name).toSorted());
  });

  it('is tainted by a commit, as by a livepatch', async () => {
    const { stdout } = await vm.run('cat /proc/sys/kernel/tainted');
    expect(Number(stdout) & (1 << 15)).not.toBe(0);
  });

  it('no update is made of a patch of the core', async () => {
    const file = 'kernel/ksplice/stop.c';
    const patch = join(folder, 'core.patch');
    const [first = '', second = ''] = (await readFile(join(kernel.source, file), 'utf8')).split('\n');
    const hunk = `@@ -1,2 +1,3 @@\n ${first}\n+/* new */\n ${second}\n`;
    await writeFile(patch, `--- a/${file}\n+++ b/${file}\n${hunk}`);
    const { exitCode, stdout } = await run(
      [process.execPath, program, 'create', '--patch', patch, ...flags, '--json'],
      { okExitCodes: [2] },
    );
    expect({ exitCode, report: JSON.parse(stdout) as unknown }).toMatchObject({
      exitCode: 2,
      report: {
        code: 'refused',
        message: `${file} is part of the core, which switches updates and cannot switch itself`,
        hint: expect.stringContaining('CONFIG_KSPLICE=m'),
      },
    });
  });

  it('under lockdown no unsigned module is loaded: apply says so, and nothing is left', async () => {
    await vm.close();
    const foreign = { path: '/root/foreign.ko', from: await testModule('dummy') };
    await using locked = await bootOwn({ program, append: 'lockdown=integrity', files: [foreign] });
    await locked.put('/root/update.ksplice', await readFile(applied));
    const loaded = await locked.run('insmod /root/foreign.ko');
    expect(loaded.exitCode).not.toBe(0);
    expect(loaded.stderr).toContain('Operation not permitted');
    const { exitCode, stdout } = await locked.run('ksplice apply /root/update.ksplice --json');
    expect({ exitCode, report: JSON.parse(stdout) as unknown }).toMatchObject({
      exitCode: 69,
      report: { code: 'lockdown' },
    });
    expect((await locked.run('cat /proc/modules; ls /sys/kernel/ksplice')).stdout).toBe(
      'control\ninterface\n',
    );
    expect((await locked.run('cat /proc/sys/kernel/tainted')).stdout).toBe('0\n');
  });
});
