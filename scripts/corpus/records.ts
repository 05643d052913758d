/**
 * Results that are kept, so that a run can be interrupted and goes on: one JSON file for each file of the corpus and
 * stage. The key says what it was made from; with another key it is history.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import type { StageResult } from './stage.ts';

const recordSchema = v.object({
  key: v.string(),
  outcome: v.string(),
  causes: v.array(v.string()),
  text: v.string(),
  numbers: v.record(v.string(), v.number()),
  seconds: v.number(),
});

export interface StageRecord extends StageResult {
  readonly key: string;
  readonly seconds: number;
}

/** What is recorded of a stage, whatever its key; undefined also where it cannot be read. */
export async function readRecord(directory: string, stage: string): Promise<StageRecord | undefined> {
  const text = await readFile(recordFile(directory, stage), 'utf8').catch(() => undefined);
  if (text === undefined) {
    return undefined;
  }
  try {
    const parsed = v.safeParse(recordSchema, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** Another process, or an interruption, finds the old record or the new one. */
export async function writeRecord(directory: string, stage: string, record: StageRecord): Promise<void> {
  const file = recordFile(directory, stage);
  await mkdir(directory, { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

/** A stage that is run again first takes away what its record speaks of. */
export async function removeRecord(directory: string, stage: string): Promise<void> {
  await rm(recordFile(directory, stage), { force: true });
}

function recordFile(directory: string, stage: string): string {
  return path.join(directory, `${stage}.record.json`);
}
