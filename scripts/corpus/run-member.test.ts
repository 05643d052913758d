import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nextStage, recallMember, runMember } from './run-member.ts';
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
    kernel: { release: '6.1.0', image: '/vmlinuz', modules: '/modules' },
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
      { name: 'good', title: 'good', goesOn: true, isBug: false, isNamed: false },
      { name: 'bad', title: 'bad', goesOn: false, isBug: true, isNamed: true },
    ],
    run: async () => {
      ran.push(name);
      return await Promise.resolve({ outcome, causes: [], text: '', numbers: {} });
    },
  };
}

const all = new Set(['one', 'two']);
const quiet = { only: all, again: false, onStage: () => undefined };

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
    only: all,
    again: false,
    onStage: ({ earlier }: { readonly earlier: { readonly outcome: string } | undefined }): void => {
      told.push(earlier?.outcome);
    },
  };
  await runMember([stageOf('one', [], 'bad')], contextOf('a'), observer);
  await runMember([stageOf('one', [], 'good')], contextOf('b'), observer);
  expect(told).toEqual([undefined, 'bad']);
});

test('a stage alone works on what the one before it left, and waits for it', async () => {
  const ran: string[] = [];
  const stages = [stageOf('one', ran), stageOf('two', ran)];
  const second = { ...quiet, only: new Set(['two']) };
  expect((await runMember(stages, contextOf('a'), second)).size).toBe(0);
  await runMember(stages, contextOf('a'), { ...quiet, only: new Set(['one']) });
  expect(ran).toEqual(['one']);
  const records = await runMember(stages, contextOf('a'), { ...second, again: true });
  expect(ran).toEqual(['one', 'two']);
  expect([...records.keys()]).toEqual(['one', 'two']);
});

test('a stage is run again when what it works with is another, and not the one before it', async () => {
  const ran: string[] = [];
  const stagesWith = (update: string): readonly Stage[] => [
    stageOf('one', ran),
    { ...stageOf('two', ran), inputs: async () => await Promise.resolve(update) },
  ];
  await runMember(stagesWith('x'), contextOf('a'), quiet);
  await runMember(stagesWith('x'), contextOf('a'), quiet);
  expect(ran).toEqual(['one', 'two']);
  await runMember(stagesWith('y'), contextOf('a'), quiet);
  expect(ran).toEqual(['one', 'two', 'two']);
});

test('a file waits for the stage after the last known one, and for none where its way has ended', async () => {
  const stages = [stageOf('one', []), stageOf('two', [])];
  expect(nextStage(stages, new Map())?.name).toBe('one');
  const first = await runMember(stages, contextOf('a'), { ...quiet, only: new Set(['one']) });
  expect(nextStage(stages, first)?.name).toBe('two');
  expect(nextStage(stages, await runMember(stages, contextOf('a'), quiet))).toBeUndefined();
  const bad = [stageOf('one', [], 'bad'), stageOf('two', [])];
  expect(nextStage(bad, await runMember(bad, contextOf('b'), quiet))).toBeUndefined();
});
