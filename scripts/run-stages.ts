import { formatDuration } from '../src/report/format.ts';
import type { Stage } from './test-stages.ts';

export interface StageResult {
  readonly name: string;
  readonly title: string;
  readonly ok: boolean;
  /** Tests in it, without the stage itself. */
  readonly passed: number;
  readonly failed: number;
  /** What is wrong, a text each. */
  readonly problems: readonly string[];
  readonly milliseconds: number;
}

/** A result of an earlier run that need not be repeated, and where to keep a new one. */
export interface StageMemory {
  readonly recall: (name: string) => StageResult | undefined;
  readonly keep: (result: StageResult) => void;
}

/**
 * Runs the stages in order, prints each with its time, and a summary: what is wrong, by stage, a line for each stage,
 * and `N passed, N failed` as the last one. Who sees only the end of a long log can read there what failed.
 */
export async function runStages(
  stages: readonly Stage[],
  root: string,
  memory?: StageMemory,
): Promise<readonly StageResult[]> {
  const results: StageResult[] = [];
  for (const stage of stages) {
    const earlier = memory?.recall(stage.name);
    if (earlier?.ok === true) {
      print(`\n== ${stage.title}: passed in an earlier run`);
      results.push(earlier);
      continue;
    }
    print(`\n== ${stage.title}`);
    const result = await runStage(stage, root);
    memory?.keep(result);
    results.push(result);
  }
  printSummary(results);
  return results;
}

async function runStage(stage: Stage, root: string): Promise<StageResult> {
  const start = performance.now();
  const { passed, failed, problems } = await stage.run(root).catch((error: unknown) => ({
    passed: 0,
    failed: 0,
    problems: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
  }));
  const { name, title } = stage;
  const ok = failed === 0 && problems.length === 0;
  return { name, title, ok, passed, failed, problems, milliseconds: performance.now() - start };
}

function printSummary(results: readonly StageResult[]): void {
  for (const { title, problems } of results) {
    if (problems.length > 0) print(`\n== ${title}: what is wrong`);
    for (const problem of problems) print(problem);
  }
  print('');
  for (const { title, ok, passed, failed, milliseconds } of results) {
    const tests = passed + failed === 0 ? '' : `  ${passed} of ${passed + failed} tests`;
    print(`${ok ? 'ok    ' : 'FAILED'} ${formatDuration(milliseconds).padStart(12)}  ${title}${tests}`);
  }
  const total = results.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  print(`       ${formatDuration(total).padStart(12)}  in all`);
  const { passed, failed } = countAll(results);
  print(`${passed} passed, ${failed} failed`);
}

function countAll(results: readonly StageResult[]): { readonly passed: number; readonly failed: number } {
  let passed = 0;
  let failed = 0;
  for (const result of results) {
    passed += result.passed + (result.ok ? 1 : 0);
    failed += result.failed + (result.ok ? 0 : 1);
  }
  return { passed, failed };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
