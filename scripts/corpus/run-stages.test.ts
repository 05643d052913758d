import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runStages } from './run-stages.ts';
import type { Stage, StageContext } from './stage.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'corpus-test-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function contextsOf(...files: readonly string[]): readonly StageContext[] {
  return files.map((file) => ({
    member: { kind: 'unit', patch: { file, kind: 'changed', text: file, changedLines: 1 } },
    kernel: { release: '6.1.0', image: '/vmlinuz', modules: '/modules' },
    tool: { id: 't', argv: ['node', 'tool'] },
    directory: path.join(directory, file),
    signal: new AbortController().signal,
  }));
}

/** A stage that notes what it runs; files whose name has `bad` go no further. */
function stageOf(name: string, ran: string[]): Stage {
  return {
    name,
    outcomes: [
      { name: 'good', title: 'fine', goesOn: true, isBug: false, isNamed: false },
      { name: 'bad', title: 'not fine', goesOn: false, isBug: false, isNamed: true },
    ],
    run: async ({ member }) => {
      const { file } = member.patch;
      ran.push(`${name} ${file}`);
      const outcome = file.includes('bad') ? 'bad' : 'good';
      return await Promise.resolve({ outcome, causes: [], text: 'so', numbers: {} });
    },
  };
}

function atOnce(...names: readonly string[]): ReadonlyMap<string, number> {
  return new Map(names.map((name) => [name, 1]));
}

test('all files go through one stage before the next begins, and those that ended stay behind', async () => {
  const ran: string[] = [];
  const lines: string[] = [];
  const stages = [stageOf('one', ran), stageOf('two', ran)];
  const results = await runStages(stages, contextsOf('a.c', 'bad.c', 'b.c'), {
    atOnce: atOnce('one', 'two'),
    again: false,
    onProgress: (line) => lines.push(line),
  });
  expect(ran).toEqual(['one a.c', 'one bad.c', 'one b.c', 'two a.c', 'two b.c']);
  expect(results.map(({ file, records }) => [file, records.size])).toEqual([
    ['a.c', 2],
    ['bad.c', 1],
    ['b.c', 2],
  ]);
  expect(lines[0]).toBe('one: 3 to do, 0 known, 3 files in all');
  expect(lines[2]).toMatch(/^\[one 2\/3, \d+\.\d s\] bad\.c: not fine: so, \d+\.\d s$/);
  expect(lines[4]).toBe('two: 2 to do, 0 known, 3 files in all');
});

test('an interrupted run goes on where it was', async () => {
  const ran: string[] = [];
  const stages = [stageOf('one', ran), stageOf('two', ran)];
  const quiet = { again: false, onProgress: () => undefined };
  await runStages(stages, contextsOf('a.c'), { ...quiet, atOnce: atOnce('one', 'two') });
  await runStages(stages, contextsOf('a.c', 'b.c'), { ...quiet, atOnce: atOnce('one', 'two') });
  expect(ran).toEqual(['one a.c', 'two a.c', 'one b.c', 'two b.c']);
});

test('a stage alone, and again', async () => {
  const ran: string[] = [];
  const stages = [stageOf('one', ran), stageOf('two', ran)];
  const quiet = { again: false, onProgress: () => undefined };
  const contexts = contextsOf('a.c', 'b.c');
  await runStages(stages, contexts, { ...quiet, atOnce: atOnce('two') });
  expect(ran).toEqual([]);
  await runStages(stages, contexts, { ...quiet, atOnce: atOnce('one') });
  const results = await runStages(stages, contexts, { ...quiet, again: true, atOnce: atOnce('two') });
  expect(ran).toEqual(['one a.c', 'one b.c', 'two a.c', 'two b.c']);
  await runStages(stages, contexts, { ...quiet, again: true, atOnce: atOnce('two') });
  expect(ran).toHaveLength(6);
  expect(results.every(({ records }) => records.size === 2)).toBe(true);
});
