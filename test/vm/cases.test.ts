/**
 * The folders of test/cases, one test each, all in one guest.
 *
 * Compiling and emulating both take their time and neither needs the other, so updates are made while the guest
 * runs the cases that are ready. A case whose update stays loaded comes last: after it the core stays too, and
 * the others are to see it come and go.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { buildBundle } from '../../scripts/bundle.ts';
import { type Created, caseId, createCase } from '../support/case/create-case.ts';
import { readCases } from '../support/case/read-cases.ts';
import { expectCreated, expectRefusal, runCase } from '../support/case/run-case.ts';
import type { TestCase } from '../support/case/test-case.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import { testCacheDir, testImage, testModule } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';

const PROGRAMS = ['probe', 'source_route', 'sleepers', 'watcher', 'kernel_cipher'] as const;

const cases = readCases().toSorted((a, b) => Number(a.resident) - Number(b.resident));

/** Makes the updates one after the other; each case waits for its own. */
function createAll(program: string, folder: string): ReadonlyMap<string, Promise<Created>> {
  let last: Promise<unknown> = Promise.resolve();
  return new Map(
    cases.map((testCase) => {
      const created = last.then(async () => await createCase(testCase, program, folder));
      last = created.catch(() => undefined);
      // Who waits for it sees the error; nobody may be waiting yet.
      created.catch(() => undefined);
      return [testCase.name, created];
    }),
  );
}

describe('cases', () => {
  let vm: Vm;
  let folder: string;
  let created: ReadonlyMap<string, Promise<Created>>;
  const residents: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-cases-'));
    const program = await buildBundle();
    created = createAll(program, folder);
    const cacheDir = testCacheDir();
    const image = await testImage();
    const programs = PROGRAMS.map(async (name) => ({
      path: `/bin/${name}`,
      from: await compileGuest(name, cacheDir),
      mode: 0o755,
    }));
    const modules = [...new Set(cases.flatMap((testCase) => testCase.modules))].map(async (name) => ({
      path: `/root/modules/${name}.ko`,
      from: await testModule(name),
    }));
    const files = await Promise.all([...programs, ...modules]);
    vm = await Vm.boot({ image, cacheDir, bundle: program, files });
  });

  afterAll(async () => {
    await vm?.close();
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
      if (testCase.createRefusal !== undefined) {
        expectRefusal(testCase.createRefusal, update);
        return;
      }
      expectCreated(testCase, update);
      await inGuest(testCase, update);
    });
  }
});
