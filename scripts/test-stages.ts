/**
 * What `npm test` checks, in order: the cheap checks of the text first, then the tests by what they need. A
 * stage that fails does not keep the others from running.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkImports, readDependencies, readSources } from './check-imports.ts';
import { checkTexts } from './check-text.ts';
import { type Counts, casesNotRun, countTests, runTool, runVitest } from './vitest-results.ts';

export interface Stage {
  readonly name: string;
  readonly title: string;
  /** Counts of the tests in it; the stage itself has failed when a test has, or when there are problems. */
  readonly run: (root: string) => Promise<Counts>;
}

const NOTHING_COUNTED = { passed: 0, failed: 0 } as const;

export const STAGES: readonly Stage[] = [
  tool('format', 'format (biome)', [
    'node_modules/.bin/biome',
    'check',
    '--error-on-warnings',
    '--colors=off',
  ]),
  tool('lint', 'lint (oxlint)', ['node_modules/.bin/oxlint', '--type-aware', '--deny-warnings']),
  tool('types', 'types (tsc)', ['node_modules/.bin/tsc', '--noEmit', '-p', '.']),
  {
    name: 'imports',
    title: 'import directions',
    run: async (root) => placed(checkImports(readSources(root), readDependencies(root))),
  },
  { name: 'text', title: 'style of C, shell and Markdown', run: async (root) => placed(checkTexts(root)) },
  vitest('unit', 'unit tests'),
  vitest('object', 'object tests'),
  {
    name: 'vm',
    title: 'VM tests',
    run: async (root) => {
      return await countProject(root, 'vm', caseFolders(root));
    },
  },
];

/** What `npm run test-all` adds: each file of test/long is a stage, so that a run can be resumed. */
export function longStages(root: string): readonly Stage[] {
  const folder = join(root, 'test', 'long');
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  return files
    .filter((name) => name.endsWith('.test.ts'))
    .toSorted()
    .map((name) => ({
      name: `long/${name}`,
      title: `long tests: ${name}`,
      run: async () => await countProject(root, 'long', [], [`test/long/${name}`]),
    }));
}

/** Names of the folders in test/cases; git keeps no empty folder, so there may be no test/cases. */
function caseFolders(root: string): readonly string[] {
  const parent = join(root, 'test', 'cases');
  return existsSync(parent)
    ? readdirSync(parent, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
    : [];
}

function tool(name: string, title: string, argv: readonly [string, ...string[]]): Stage {
  return {
    name,
    title,
    run: async (root) => {
      const status = await runTool(root, argv);
      return { ...NOTHING_COUNTED, problems: status === 0 ? [] : [`exit status ${status}`] };
    },
  };
}

function vitest(project: string, title: string): Stage {
  return { name: project, title, run: async (root) => await countProject(root, project) };
}

async function countProject(
  root: string,
  project: string,
  cases: readonly string[] = [],
  files: readonly string[] = [],
): Promise<Counts> {
  const { report, status } = await runVitest(root, project, files);
  if (report === undefined) {
    return { ...NOTHING_COUNTED, problems: [`vitest left no report, exit status ${status}`] };
  }
  const counts = countTests(report, root);
  const problems = [
    ...counts.problems,
    ...casesNotRun(report, cases).map((name) => `test/cases/${name}: no test stands for it`),
  ];
  if (status !== 0 && counts.failed === 0) {
    problems.push(`vitest ended with exit status ${status}`);
  }
  return { ...counts, problems };
}

function placed(
  found: readonly { readonly path: string; readonly line: number; readonly message: string }[],
): Counts {
  return {
    ...NOTHING_COUNTED,
    problems: found.map(({ path, line, message }) => `${path}:${line}: ${message}`),
  };
}
