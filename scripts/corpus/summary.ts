import { formatDuration, formatSize } from '../../src/report/format.ts';
import type { MemberRecords } from './run-member.ts';
import type { Stage } from './stage.ts';

export interface CauseCount {
  readonly cause: string;
  /** Files that have it. */
  readonly files: number;
  /** Files that have it and no other. */
  readonly alone: number;
}

export interface OutcomeCount {
  readonly name: string;
  readonly title: string;
  readonly isBug: boolean;
  readonly files: number;
  /** The most frequent first. */
  readonly causes: readonly CauseCount[];
}

export interface StageSummary {
  readonly name: string;
  /** Files that came to this stage. */
  readonly files: number;
  readonly outcomes: readonly OutcomeCount[];
  readonly seconds: Spread | undefined;
  /** By name of the number, over the files that have it. */
  readonly numbers: ReadonlyMap<string, Spread>;
}

export interface Spread {
  readonly count: number;
  readonly total: number;
  readonly median: number;
  readonly max: number;
}

/** Counts what is recorded, stage by stage, in the order of the stages and their outcomes. */
export function summarize(
  stages: readonly Stage[],
  members: readonly MemberRecords[],
): readonly StageSummary[] {
  return stages.map(({ name, outcomes }) => {
    const records = members.flatMap((one) => one.get(name) ?? []);
    const names = new Set(records.flatMap((record) => Object.keys(record.numbers)));
    return {
      name,
      files: records.length,
      outcomes: outcomes.map((outcome) => {
        const having = records.filter((record) => record.outcome === outcome.name);
        return {
          name: outcome.name,
          title: outcome.title,
          isBug: outcome.isBug,
          files: having.length,
          causes: countCauses(having.map(({ causes }) => causes)),
        };
      }),
      seconds: spreadOf(records.map(({ seconds }) => seconds)),
      numbers: new Map(
        [...names].flatMap((number) => {
          const spread = spreadOf(records.flatMap(({ numbers }) => numbers[number] ?? []));
          return spread === undefined ? [] : [[number, spread] as const];
        }),
      ),
    };
  });
}

function countCauses(files: readonly (readonly string[])[]): readonly CauseCount[] {
  const causes = [...new Set(files.flat())];
  return causes
    .map((cause) => {
      const having = files.filter((all) => all.includes(cause));
      return { cause, files: having.length, alone: having.filter((all) => all.length === 1).length };
    })
    .toSorted((a, b) => b.files - a.files || (a.cause < b.cause ? -1 : 1));
}

function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const max = sorted.at(-1);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  if (max === undefined || median === undefined) {
    return undefined;
  }
  return { count: sorted.length, total: sorted.reduce((sum, value) => sum + value, 0), median, max };
}

/** The numbers that a table has of every update, in words; for those that are there. */
export function numbersText({ seconds, numbers }: StageSummary): readonly string[] {
  const functions = numbers.get('functions');
  const size = numbers.get('size');
  return [
    ...(functions === undefined
      ? []
      : [
          `functions replaced: ${functions.total}; in one update ${functions.median} (median), ${functions.max} at most`,
        ]),
    ...(size === undefined
      ? []
      : [`size of an update: ${formatSize(size.median)} (median), ${formatSize(size.max)} at most`]),
    ...(seconds === undefined
      ? []
      : [
          `time for a file: ${formatDuration(seconds.median * 1000)} (median), ${formatDuration(seconds.max * 1000)} at most, ${formatDuration(seconds.total * 1000)} in all`,
        ]),
  ];
}

/** For the terminal: one line an outcome, its causes below it. */
export function summaryText(stages: readonly StageSummary[]): string {
  const lines = stages.flatMap((stage) => [
    `${stage.name}: ${stage.files} files`,
    ...stage.outcomes.flatMap(({ title, files, causes }) => [
      `${String(files).padStart(6)}  ${title}`,
      ...causes.map(
        ({ cause, files: having, alone }) =>
          `${String(having).padStart(12)}  ${cause}${aloneText(having, alone)}`,
      ),
    ]),
    ...numbersText(stage).map((text) => `        ${text}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function aloneText(having: number, alone: number): string {
  return having === alone ? '' : ` (${alone} for nothing else)`;
}
