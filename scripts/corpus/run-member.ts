import { createHash } from 'node:crypto';
import { readRecord, removeRecord, type StageRecord, writeRecord } from './records.ts';
import { patchHash } from './release-patches.ts';
import { outcomeOf, type Stage, type StageContext } from './stage.ts';

/** What is known of one file of the corpus, by name of stage. A stage that was not come to has no record. */
export type MemberRecords = ReadonlyMap<string, StageRecord>;

export interface StageReport {
  readonly stage: Stage;
  readonly record: StageRecord;
  /** What was recorded before, with another program or patch, or when it is done again. */
  readonly earlier: StageRecord | undefined;
}

export interface RunMemberOptions {
  /** Names of the stages that may be run; the file's way ends at another one that has no valid record. */
  readonly only: ReadonlySet<string>;
  /** Do what is recorded of these once more. */
  readonly again: boolean;
  /** Called for each stage that was run, as it ends. */
  readonly onStage: (report: StageReport) => void;
}

/**
 * Runs the stages of one file that may be run and have no valid record, and keeps their results. Returns what is known
 * then, up to the first stage that is not. Throws what a stage throws.
 */
export async function runMember(
  stages: readonly Stage[],
  context: StageContext,
  options: RunMemberOptions,
): Promise<MemberRecords> {
  const records = new Map<string, StageRecord>();
  let inputs = inputsOf(context);
  for (const stage of stages) {
    const earlier = await readRecord(context.directory, stage.name);
    const key = await keyOf(stage, inputs, context);
    const mayRun = options.only.has(stage.name);
    let record = earlier;
    if (record?.key !== key || (mayRun && options.again)) {
      if (!mayRun) break;
      await removeRecord(context.directory, stage.name);
      const start = performance.now();
      const result = await stage.run(context);
      record = { key, ...result, seconds: Math.round(performance.now() - start) / 1000 };
      await writeRecord(context.directory, stage.name, record);
      options.onStage({ stage, record, earlier });
    }
    records.set(stage.name, record);
    if (!outcomeOf(stage, record.outcome).goesOn) break;
    inputs = key;
  }
  return records;
}

/** The records of one file that are valid; nothing is run. */
export async function recallMember(stages: readonly Stage[], context: StageContext): Promise<MemberRecords> {
  const records = new Map<string, StageRecord>();
  let inputs = inputsOf(context);
  for (const stage of stages) {
    const key = await keyOf(stage, inputs, context);
    const record = await readRecord(context.directory, stage.name);
    if (record?.key !== key) break;
    records.set(stage.name, record);
    if (!outcomeOf(stage, record.outcome).goesOn) break;
    inputs = key;
  }
  return records;
}

/** The stage that a file waits for; undefined if its way has ended. */
export function nextStage(stages: readonly Stage[], records: MemberRecords): Stage | undefined {
  const last = stages[records.size - 1];
  const record = last === undefined ? undefined : records.get(last.name);
  const hasEnded = last !== undefined && record !== undefined && !outcomeOf(last, record.outcome).goesOn;
  return hasEnded ? undefined : stages[records.size];
}

function inputsOf({ kernel, tool, member }: StageContext): string {
  return `${kernel.release} ${tool.id} ${patchHash(member.patch)}`;
}

/** A stage's results hold for what it was given, which includes what the stages before it were given. */
async function keyOf(stage: Stage, inputs: string, context: StageContext): Promise<string> {
  const own = stage.inputs === undefined ? '' : ` ${await stage.inputs(context)}`;
  return createHash('sha256').update(`${stage.name} ${inputs}${own}`).digest('hex').slice(0, 16);
}
