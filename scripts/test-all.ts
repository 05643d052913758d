/**
 * `npm run test-all`: everything of `npm test`, and what does not fit into its 20 minutes (test/long).
 *
 * It can be interrupted: a stage that passed is not run again as long as no file of the project changes. The
 * result and its date are written to docs/test-all.md.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { formatDuration } from '../src/report/format.ts';
import { runStages, type StageMemory, type StageResult } from './run-stages.ts';
import { longStages, STAGES } from './test-stages.ts';

const RESULT_FILE = 'docs/test-all.md';
const root = resolve(import.meta.dirname, '..');

const resultSchema = v.object({
  name: v.string(),
  title: v.string(),
  ok: v.boolean(),
  passed: v.number(),
  failed: v.number(),
  problems: v.array(v.string()),
  milliseconds: v.number(),
});

/** SHA-256 over every file that git knows or would add, the result itself left out. */
function stateOfProject(): string {
  const options = { cwd: root, encoding: 'utf8' } as const;
  const hash = createHash('sha256');
  for (const path of execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], options).split(
    '\0',
  )) {
    if (path !== '' && path !== RESULT_FILE && existsSync(join(root, path))) {
      hash.update(`${path}\0`).update(
        createHash('sha256')
          .update(readFileSync(join(root, path)))
          .digest(),
      );
    }
  }
  return hash.digest('hex').slice(0, 16);
}

function memoryIn(folder: string): StageMemory {
  const fileOf = (name: string): string => join(folder, `${name.replaceAll('/', '_')}.json`);
  return {
    recall: (name) =>
      existsSync(fileOf(name))
        ? v.parse(resultSchema, JSON.parse(readFileSync(fileOf(name), 'utf8')))
        : undefined,
    keep: (result) => {
      mkdirSync(folder, { recursive: true });
      writeFileSync(fileOf(result.name), JSON.stringify(result));
    },
  };
}

function resultText(results: readonly StageResult[]): string {
  const rows = results.map(
    ({ title, ok, passed, failed, milliseconds }) =>
      `| ${title} | ${ok ? 'passed' : 'FAILED'} | ${passed} | ${failed} | ${formatDuration(milliseconds)} |`,
  );
  return [
    '# The last run of everything',
    '',
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cpus().length} CPUs.`,
    'Written by `npm run test-all`.',
    '',
    '| stage | result | passed | failed | time |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

const memory = memoryIn(join(root, 'build', 'test-all', stateOfProject()));
const results = await runStages([...STAGES, ...longStages(root)], root, memory);
writeFileSync(join(root, RESULT_FILE), resultText(results));
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
