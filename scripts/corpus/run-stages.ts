/**
 * All files through one stage, then through the next: what a guest runs is not to be disturbed by compilers, and one
 * stage can be done alone.
 */
import { mapLimited } from '../../src/build/map-limited.ts';
import { formatDuration } from '../../src/report/format.ts';
import { nextStage, recallMember, runMember, type StageReport } from './run-member.ts';
import { outcomeOf, type Stage, type StageContext } from './stage.ts';
import type { MemberResult } from './summary.ts';

export interface RunStagesOptions {
  /** Which of the stages are to be run, and how many files at a time in each. */
  readonly atOnce: ReadonlyMap<string, number>;
  /** Do what is recorded once more. */
  readonly again: boolean;
  readonly onProgress: (line: string) => void;
}

/** Returns what is known of each file then. Throws what a stage throws; what was recorded until then stays. */
export async function runStages(
  stages: readonly Stage[],
  contexts: readonly StageContext[],
  options: RunStagesOptions,
): Promise<readonly MemberResult[]> {
  for (const stage of stages) {
    const atOnce = options.atOnce.get(stage.name);
    if (atOnce !== undefined) await runOne(stages, stage, atOnce, contexts, options);
  }
  return await recallMembers(stages, contexts);
}

/** What is recorded of each file; nothing is run. */
export async function recallMembers(
  stages: readonly Stage[],
  contexts: readonly StageContext[],
): Promise<readonly MemberResult[]> {
  return await mapLimited(contexts, 8, async (context) => ({
    file: context.member.patch.file,
    records: await recallMember(stages, context),
  }));
}

async function runOne(
  stages: readonly Stage[],
  stage: Stage,
  atOnce: number,
  contexts: readonly StageContext[],
  { again, onProgress }: RunStagesOptions,
): Promise<void> {
  const known = await recallMembers(stages, contexts);
  const done = known.filter(({ records }) => records.has(stage.name));
  const waiting = contexts.filter((_, at) => {
    const records = known[at]?.records ?? new Map();
    return nextStage(stages, records)?.name === stage.name || (again && records.has(stage.name));
  });
  onProgress(
    `${stage.name}: ${waiting.length} to do, ${again ? 0 : done.length} known, ${contexts.length} files in all`,
  );
  const total = String(waiting.length);
  const start = performance.now();
  let ended = 0;
  await mapLimited(waiting, atOnce, async (context) => {
    const only = new Set([stage.name]);
    const onStage = (report: StageReport): void => {
      ended += 1;
      const count = `${String(ended).padStart(total.length)}/${total}`;
      const elapsed = formatDuration(performance.now() - start);
      onProgress(`[${stage.name} ${count}, ${elapsed}] ${reportText(context.member.patch.file, report)}`);
    };
    await runMember(stages, context, { only, again, onStage });
  });
}

/** `net/ipv4/tcp.c: updates made: 2 functions, 312.0 KB, 4.1 s` */
function reportText(file: string, { stage, record, earlier }: StageReport): string {
  const { title } = outcomeOf(stage, record.outcome);
  const before =
    earlier === undefined || earlier.outcome === record.outcome ? '' : ` (before: ${earlier.outcome})`;
  const text = record.text === '' ? '' : `: ${record.text}`;
  return `${file}: ${title}${text}, ${formatDuration(record.seconds * 1000)}${before}`;
}
