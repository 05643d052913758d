/** What `npm run torture` prints of one guest, and whether it went as it must. */
import { spreadOf } from '../../bench/statistics.ts';
import type { TortureRun } from './cycle-outcome.ts';
import type { LoadReport } from './load.ts';
import { compareMemory, type MemoryField } from './memory-use.ts';

/** Of the cycles; the others met a thread in the way five times. */
export const COMPLETED_SHARE = 0.9;

export interface TortureVerdict {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

function counts(record: Readonly<Record<string, number>>): string {
  const entries = Object.entries(record).toSorted(([, a], [, b]) => b - a);
  return entries.length === 0 ? 'none' : entries.map(([name, count]) => `${name} ${count}`).join(', ');
}

function spread(values: readonly number[], unit: string): string {
  const { min, median, max } = spreadOf(values);
  return `median ${median.toFixed(2)} ${unit}, ${min.toFixed(2)} to ${max.toFixed(2)}`;
}

/** Whether a cycle takes longer after many others. */
function firstAndLast(values: readonly number[]): string {
  const part = Math.min(100, Math.floor(values.length / 2));
  if (part === 0) return 'one cycle';
  const [first, last] = [values.slice(0, part), values.slice(-part)].map((some) =>
    spreadOf(some).median.toFixed(1),
  );
  return `the first ${part} cycles: median ${first} ms, the last ${part}: median ${last} ms`;
}

export interface Expectation {
  readonly cycles: number;
  /** What must be within the noise; the others are printed all the same. */
  readonly judged: readonly MemoryField[];
}

/** `trouble`: lines of the kernel log that should not be there. */
export function judge(
  run: TortureRun,
  load: LoadReport,
  trouble: readonly string[],
  { cycles, judged }: Expectation,
): TortureVerdict {
  const problems: string[] = [...load.lost];
  if (run.failure !== undefined) problems.push(run.failure);
  if (run.cycles < cycles) problems.push(`${run.cycles} cycles of ${cycles} in the time that was given`);
  if (run.completed < COMPLETED_SHARE * run.cycles) {
    problems.push(`${run.completed} of ${run.cycles} cycles applied and undone, at least 90 % wanted`);
  }
  problems.push(...trouble.map((line) => `kernel log: ${line}`));
  const memory = compareMemory(run.before, run.after);
  for (const { field, before, after, noise, isWithinNoise } of memory) {
    if (!isWithinNoise && judged.includes(field))
      problems.push(`${field}: ${before} kB before, ${after} kB after, noise ${noise} kB`);
  }
  if (run.areasAfter > run.areasBefore) {
    problems.push(`areas of modules: ${run.areasBefore} before, ${run.areasAfter} after`);
  }
  if (run.areasApplied <= run.areasBefore) {
    problems.push(
      `areas of modules: ${run.areasBefore} before, ${run.areasApplied} with an update: not seen`,
    );
  }
  const lines = [
    `${run.cycles} cycles in ${run.seconds.toFixed(0)} s, ${run.completed} applied and undone, ${run.whole} with core, match and link`,
    `not applied or not undone at once: ${counts(run.refused)}; in the way: ${counts(run.busyIn)}`,
    `attempts for a change of stage: ${counts(run.attempts)}`,
    `stopped: ${spread(run.stoppedMs, 'ms')}; a cycle: ${spread(run.cycleMs, 'ms')}; at most ${run.tasks} tasks`,
    firstAndLast(run.cycleMs),
    ...memory.map(
      ({ field, before, after, noise }) =>
        `${field}: median ${before} kB before, ${after} kB after, same load, noise ${noise} kB`,
    ),
    `areas of modules and of ours: ${run.areasBefore} before, ${run.areasApplied} with an update, ${run.areasAfter} after`,
    ...load.done,
    ...problems.map((problem) => `FAILED ${problem}`),
  ];
  return { ok: problems.length === 0, lines };
}
