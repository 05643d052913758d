/** The part of a case that runs on this machine: its patch, and `ksplice create`. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../src/process/run.ts';
import { TEST_RELEASE } from '../vm/test-kernel.ts';
import { patchFile } from './read-cases.ts';
import type { TestCase } from './test-case.ts';

const FROM = '6.1.170-3';
const TO = '6.1.176-1';
/** Everything that the tool promises; anything else is its bug, or a signal. */
const EXIT_CODES = [0, 2, 3, 4, 5, 64, 65, 69, 70] as const;

export interface Created {
  readonly exitCode: number;
  /** What it printed for programs. */
  readonly stdout: string;
  readonly stderr: string;
  /** The update, when it was made. */
  readonly file: string;
}

/** The update's ID: the name of the case as far as an ID can hold it. */
export function caseId(testCase: TestCase): string {
  return testCase.name.replaceAll('-', '_').slice(0, 32);
}

async function patchOf(testCase: TestCase, program: string, folder: string): Promise<string> {
  if (testCase.patch.kind === 'file') return patchFile(testCase.name, testCase.patch.path);
  const file = join(folder, `${testCase.name}.patch`);
  const argv = [
    process.execPath,
    program,
    'debian',
    'diff',
    FROM,
    TO,
    '--file',
    testCase.patch.path,
  ] as const;
  await writeFile(file, (await run(argv)).stdout);
  return file;
}

/**
 * Makes the update of a case with the command line `program` (a bundle beside the core's sources), in `folder`.
 * `kernel` are the flags that say which one it is for. Whether that succeeds is for the caller to judge.
 */
export async function createCase(
  testCase: TestCase,
  program: string,
  folder: string,
  kernel: readonly string[] = ['--kernel', TEST_RELEASE],
): Promise<Created> {
  const file = join(folder, `${caseId(testCase)}.ksplice`);
  const patch = await patchOf(testCase, program, folder);
  const { exitCode, stdout, stderr } = await run(
    [
      process.execPath,
      program,
      'create',
      '--patch',
      patch,
      ...kernel,
      '--id',
      caseId(testCase),
      '--description',
      testCase.about,
      '--jobs',
      '1',
      '-o',
      file,
      '--json',
    ],
    { okExitCodes: EXIT_CODES },
  );
  return { exitCode: exitCode ?? 70, stdout, stderr, file };
}
