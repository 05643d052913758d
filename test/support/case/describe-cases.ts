/**
 * The folders of test/cases, one test each, all in one guest of one kernel.
 *
 * Compiling and emulating both take their time and neither needs the other, so updates are made while the guest
 * runs the cases that are ready. A case whose update stays loaded comes last: after it the core stays too, and
 * the others are to see it come and go.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildBundle } from '../../../scripts/bundle.ts';
import { compileGuest } from '../vm/guest-program.ts';
import { testCacheDir, testImage, testModule } from '../vm/test-kernel.ts';
import { Vm } from '../vm/vm.ts';
import { type Created, caseId, createCase } from './create-case.ts';
import { readCases } from './read-cases.ts';
import { expectCreated, expectRefusal, runCase } from './run-case.ts';
import type { TestCase } from './test-case.ts';

const PROGRAMS = ['probe', 'source_route', 'sleepers', 'watcher', 'kernel_cipher'] as const;

export interface CasesKernel {
  /** Of Debian. */
  readonly release: string;
  /** Names of the cases whose patch is one for another version: they cannot be made, and that is what is tested. */
  readonly notFor?: readonly string[];
}

/** Makes the updates one after the other, until nobody wants any more; each case waits for its own. */
function createAll(
  cases: readonly TestCase[],
  program: string,
  folder: string,
  release: string,
  enough: AbortSignal,
): ReadonlyMap<string, Promise<Created>> {
  let last: Promise<unknown> = Promise.resolve();
  return new Map(
    cases.map((testCase) => {
      const created = last.then(async () => {
        enough.throwIfAborted();
        return await createCase(testCase, program, folder, ['--kernel', release]);
      });
      last = created.catch(() => undefined);
      // Who waits for it sees the error; nobody may be waiting yet.
      created.catch(() => undefined);
      return [testCase.name, created];
    }),
  );
}

/** Declares the tests: those of all cases, in one guest that boots this kernel. */
export function describeCases({ release, notFor = [] }: CasesKernel): void {
  const cases = readCases().toSorted((a, b) => Number(a.resident) - Number(b.resident));
  let vm: Vm;
  let folder: string;
  let created: ReadonlyMap<string, Promise<Created>>;
  const residents: string[] = [];
  const enough = new AbortController();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-cases-'));
    const program = await buildBundle();
    created = createAll(cases, program, folder, release, enough.signal);
    const cacheDir = testCacheDir();
    const image = await testImage(release);
    const programs = PROGRAMS.map(async (name) => ({
      path: `/bin/${name}`,
      from: await compileGuest(name, cacheDir),
      mode: 0o755,
    }));
    const modules = [...new Set(cases.flatMap((testCase) => testCase.modules))].map(async (name) => ({
      path: `/root/modules/${name}.ko`,
      from: await testModule(name, release),
    }));
    const files = await Promise.all([...programs, ...modules]);
    // Some of the cases switch tracers and events on and off.
    vm = await Vm.boot({ image, cacheDir, bundle: program, files, cpusInTurn: true });
  });

  afterAll(async () => {
    await vm?.close();
    enough.abort();
    await Promise.allSettled(created?.values() ?? []);
    await rm(folder, { recursive: true, force: true });
  });

  async function inGuest(testCase: TestCase, update: Created): Promise<void> {
    await vm.put(`/root/${caseId(testCase)}.ksplice`, await readFile(update.file));
    await runCase(vm, testCase, residents);
    if (testCase.resident) residents.push(caseId(testCase));
  }

  for (const testCase of cases) {
    it(`${testCase.name}: ${testCase.about}`, async () => {
      const update = await created.get(testCase.name);
      if (update === undefined) throw new Error(`${testCase.name}: no update was asked for`);
      if (notFor.includes(testCase.name)) {
        expect(update).toMatchObject({
          exitCode: 65,
          stdout: expect.stringContaining('patch_does_not_apply'),
        });
        return;
      }
      if (testCase.createRefusal !== undefined) {
        expectRefusal(testCase.createRefusal, update);
        return;
      }
      expectCreated(testCase, update);
      await inGuest(testCase, update);
    });
  }
}
