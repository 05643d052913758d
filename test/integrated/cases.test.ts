/**
 * The folders of test/cases on a kernel that carries the core: the same results, and no core out of an update file.
 *
 * The kernel is small. What a case changes may not be part of it: then create says so, and the case is not for this kernel. How
 * many are is asserted, or a configuration that has lost something would make all of them vanish.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../scripts/bundle.ts';
import { integratedKernelParts } from '../../scripts/integrated/integrated-kernel.ts';
import { type Created, caseId, createCase } from '../support/case/create-case.ts';
import { readCases } from '../support/case/read-cases.ts';
import { expectCreated, expectRefusal, runCase } from '../support/case/run-case.ts';
import type { TestCase } from '../support/case/test-case.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import { testCacheDir, testModule } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';

const PROGRAMS = ['probe', 'source_route', 'sleepers', 'watcher'] as const;
/** Fewer would mean that the kernel has lost something. */
const AT_LEAST = 30;

const cases = readCases()
  .filter(({ modules }) => modules.length === 0)
  .toSorted((a, b) => Number(a.resident) - Number(b.resident));

describe('on a kernel that carries the core', () => {
  const cacheDir = testCacheDir();
  const kernel = integratedKernelParts(cacheDir);
  let folder: string;
  let program: string;
  let vm: Vm;
  let applied: string;
  const residents: string[] = [];
  const outside: string[] = [];
  const inside: string[] = [];

  const boot = async (append?: string): Promise<Vm> =>
    await Vm.boot({
      image: kernel.image,
      cacheDir,
      bundle: program,
      ...(append === undefined ? {} : { append }),
      files: [
        ...(await Promise.all(
          PROGRAMS.map(async (name) => ({
            path: `/bin/${name}`,
            from: await compileGuest(name, cacheDir),
            mode: 0o755,
          })),
        )),
        { path: '/root/foreign.ko', from: await testModule('dummy') },
      ],
    });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-integrated-'));
    program = await buildBundle();
    vm = await boot();
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function make(testCase: TestCase): Promise<Created> {
    const { source, config, image } = kernel;
    const flags = ['--source', source, '--config', config, '--image', image];
    return await createCase(testCase, program, folder, flags);
  }

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
      const update = await make(testCase);
      if (update.stdout.includes('not in this configuration')) {
        outside.push(testCase.name);
        return;
      }
      if (testCase.createRefusal !== undefined) {
        expectRefusal(testCase.createRefusal, update);
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

  it('had enough cases', () => {
    process.stdout.write(
      `${inside.length} cases applied and undone; not in this kernel: ${outside.join(' ') || 'none'}\n`,
    );
    expect(inside.length).toBeGreaterThanOrEqual(AT_LEAST);
  });

  it('is tainted by a commit, as by a livepatch', async () => {
    const { stdout } = await vm.run('cat /proc/sys/kernel/tainted');
    expect(Number(stdout) & (1 << 15)).not.toBe(0);
  });

  it('under lockdown no unsigned module is loaded: apply says so, and nothing is left', async () => {
    const locked = await boot('lockdown=integrity');
    try {
      await locked.put('/root/update.ksplice', await readFile(applied));
      const foreign = await locked.run('insmod /root/foreign.ko');
      expect(foreign.exitCode).not.toBe(0);
      expect(foreign.stderr).toContain('Operation not permitted');
      const { exitCode, stdout } = await locked.run('ksplice apply /root/update.ksplice --json');
      expect({ exitCode, report: JSON.parse(stdout) as unknown }).toMatchObject({
        exitCode: 69,
        report: { code: 'lockdown' },
      });
      expect((await locked.run('cat /proc/modules; ls /sys/kernel/ksplice')).stdout).toBe(
        'control\ninterface\n',
      );
      expect((await locked.run('cat /proc/sys/kernel/tainted')).stdout).toBe('0\n');
    } finally {
      await locked.close();
    }
  });
});
