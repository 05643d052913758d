/**
 * Runs vitest and counts what it did, from its JSON report.
 *
 * Counting is strict, since a test that did not run proves nothing: a skipped or todo test counts as failed,
 * and so does a file that could not be loaded. A run of no test at all is a failure of the stage.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';

const reportSchema = v.object({
  success: v.boolean(),
  testResults: v.array(
    v.object({
      name: v.string(),
      status: v.string(),
      assertionResults: v.array(
        v.object({
          ancestorTitles: v.array(v.string()),
          title: v.string(),
          status: v.string(),
          failureMessages: v.optional(v.array(v.string()), []),
        }),
      ),
    }),
  ),
});

export type VitestReport = v.InferOutput<typeof reportSchema>;

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** What is wrong, a text each: the tests that failed, and what vitest itself does not print. */
  readonly problems: readonly string[];
}

/** Counts the tests of a report. Paths in it are made relative to `root`. */
export function countTests(report: VitestReport, root: string): Counts {
  let passed = 0;
  let failed = 0;
  const problems: string[] = [];
  for (const file of report.testResults) {
    const bad = file.assertionResults.filter(({ status }) => status !== 'passed');
    passed += file.assertionResults.length - bad.length;
    failed += bad.length;
    for (const { ancestorTitles, title, status, failureMessages } of bad) {
      const what =
        status === 'failed'
          ? firstLines(failureMessages)
          : `is ${status}: what does not run counts as failed`;
      const test = [...ancestorTitles, title].join(' > ');
      problems.push(`${relative(file.name, root)}: "${test}": ${what}`);
    }
    if (bad.length === 0 && (file.status !== 'passed' || file.assertionResults.length === 0)) {
      failed += 1;
      problems.push(`${relative(file.name, root)}: no test of it was run`);
    }
  }
  if (passed + failed === 0) {
    problems.push('no test was run');
  }
  return { passed, failed, problems };
}

const MESSAGE_LINES = 4;

/** The beginning of what a test failed with, on lines that stand below its name. */
function firstLines(messages: readonly string[]): string {
  const lines = messages.join('\n').split('\n');
  return lines.slice(0, MESSAGE_LINES).join('\n    ');
}

/**
 * The names in `folders` that no test stands for. A test stands for a case when its title, or that of a
 * `describe` around it, is the name of the case's folder, or starts with it and a colon.
 */
export function casesNotRun(report: VitestReport, folders: readonly string[]): readonly string[] {
  const titles = report.testResults.flatMap((file) =>
    file.assertionResults
      .filter(({ status }) => status === 'passed' || status === 'failed')
      .flatMap(({ ancestorTitles, title }) => [...ancestorTitles, title]),
  );
  return folders.filter(
    (folder) => !titles.some((title) => title === folder || title.startsWith(`${folder}:`)),
  );
}

/** Runs one vitest project, all of it or the files given, with its output on ours. */
export async function runVitest(
  root: string,
  project: string,
  files: readonly string[] = [],
): Promise<{ readonly report: VitestReport | undefined; readonly status: number }> {
  const output = join(
    root,
    'build',
    'test-results',
    `${[project, ...files].join('-').replaceAll('/', '_')}.json`,
  );
  mkdirSync(dirname(output), { recursive: true });
  rmSync(output, { force: true });
  const status = await runTool(root, [
    'node_modules/.bin/vitest',
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${output}`,
    ...files,
  ]);
  try {
    return { report: v.parse(reportSchema, JSON.parse(readFileSync(output, 'utf8'))), status };
  } catch {
    return { report: undefined, status };
  }
}

/** Runs a program with its output on ours; its exit status, 1 if it was killed. */
export async function runTool(root: string, argv: readonly [string, ...string[]]): Promise<number> {
  const [command, ...args] = argv;
  return await new Promise((resolve, reject) => {
    spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
      .once('error', reject)
      .once('close', (status) => {
        resolve(status ?? 1);
      });
  });
}

function relative(path: string, root: string): string {
  return path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
}
