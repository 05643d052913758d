import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recallMember, runMember } from './run-member.ts';
import type { Stage, StageContext } from './stage.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'corpus-test-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function contextOf(tool: string, text = 'patch'): StageContext {
  return {
    member: { kind: 'unit', patch: { file: 'fs/x.c', kind: 'changed', text, changedLines: 1 } },
    release: '6.1.0',
    tool: { id: tool, argv: ['node', 'tool'] },
    directory,
    signal: new AbortController().signal,
  };
}

/** A stage that notes when it runs, and ends as told. */
function stageOf(name: string, ran: string[], outcome: 'good' | 'bad' = 'good'): Stage {
  return {
    name,
    outcomes: [
      { name: 'good', title: 'good', goesOn: true, isBug: false },
      { name: 'bad', title: 'bad', goesOn: false, isBug: true },
    ],
    run: async () => {
      ran.push(name);
      return await Promise.resolve({ outcome, causes: [], text: '', numbers: {} });
    },
  };
}

const quiet = { again: false, onStage: () => undefined };

test('what is recorded is not done again, but with another program or patch, or on request', async () => {
  const ran: string[] = [];
  const stages = [stageOf('one', ran), stageOf('two', ran)];
  await runMember(stages, contextOf('a'), quiet);
  await runMember(stages, contextOf('a'), quiet);
  expect(ran).toEqual(['one', 'two']);
  await runMember(stages, contextOf('b'), quiet);
  await runMember(stages, contextOf('b', 'another patch'), quiet);
  await runMember(stages, contextOf('b', 'another patch'), { ...quiet, again: true });
  expect(ran).toHaveLength(8);
});

test('a stage that ends badly ends the file, and its record says so', async () => {
  const ran: string[] = [];
  const stages = [stageOf('one', ran, 'bad'), stageOf('two', ran)];
  const records = await runMember(stages, contextOf('a'), quiet);
  expect(ran).toEqual(['one']);
  expect([...records].map(([name, { outcome }]) => [name, outcome])).toEqual([['one', 'bad']]);
});

test('a stage that is added later runs alone', async () => {
  const ran: string[] = [];
  const first = stageOf('one', ran);
  await runMember([first], contextOf('a'), quiet);
  await runMember([first, stageOf('two', ran)], contextOf('a'), quiet);
  expect(ran).toEqual(['one', 'two']);
});

test('a stage that throws leaves no record', async () => {
  const ran: string[] = [];
  const interrupted = new Error('interrupted');
  const stage: Stage = { ...stageOf('one', ran), run: () => Promise.reject(interrupted) };
  await expect(runMember([stage], contextOf('a'), quiet)).rejects.toThrow(interrupted);
  expect((await recallMember([stage], contextOf('a'))).size).toBe(0);
});

test('a stage that throws when it is run again leaves none either: what it left is half done', async () => {
  const stage = stageOf('one', []);
  await runMember([stage], contextOf('a'), quiet);
  const broken: Stage = { ...stage, run: () => Promise.reject(new Error('interrupted')) };
  await expect(runMember([broken], contextOf('a'), { ...quiet, again: true })).rejects.toThrow();
  expect((await recallMember([stage], contextOf('a'))).size).toBe(0);
});

test('a record that is damaged counts as none', async () => {
  const ran: string[] = [];
  const stage = stageOf('one', ran);
  await runMember([stage], contextOf('a'), quiet);
  await writeFile(path.join(directory, 'one.record.json'), '{"key":');
  await runMember([stage], contextOf('a'), quiet);
  expect(ran).toEqual(['one', 'one']);
});

test('the observer is told what was recorded before', async () => {
  const told: (string | undefined)[] = [];
  const observer = {
    again: false,
    onStage: ({ earlier }: { readonly earlier: { readonly outcome: string } | undefined }): void => {
      told.push(earlier?.outcome);
    },
  };
  await runMember([stageOf('one', [], 'bad')], contextOf('a'), observer);
  await runMember([stageOf('one', [], 'good')], contextOf('b'), observer);
  expect(told).toEqual([undefined, 'bad']);
});
