import { formatDuration, formatSize } from '../../src/report/format.ts';
import type { MemberRecords } from './run-member.ts';
import type { Stage } from './stage.ts';

/** What is known of one file. */
export interface MemberResult {
  /** Path in the kernel's tree. */
  readonly file: string;
  readonly records: MemberRecords;
}

/** Files of which the same is said. */
export interface NamedFiles {
  readonly files: readonly string[];
  readonly text: string;
}

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
  /** In the order of the files; empty where the stage does not want them named. */
  readonly named: readonly NamedFiles[];
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
  members: readonly MemberResult[],
): readonly StageSummary[] {
  return stages.map(({ name, outcomes }) => {
    const known = members.flatMap(({ file, records: all }) => {
      const record = all.get(name);
      return record === undefined ? [] : [{ file, record }];
    });
    const records = known.map(({ record }) => record);
    const names = new Set(records.flatMap((record) => Object.keys(record.numbers)));
    return {
      name,
      files: records.length,
      outcomes: outcomes.map((outcome) => {
        const files = known.filter(({ record }) => record.outcome === outcome.name);
        const having = files.map(({ record }) => record);
        return {
          name: outcome.name,
          title: outcome.title,
          isBug: outcome.isBug,
          files: having.length,
          causes: countCauses(having.map(({ causes }) => causes)),
          named: outcome.isNamed ? nameFiles(files) : [],
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

function nameFiles(
  files: readonly { readonly file: string; readonly record: { readonly text: string } }[],
): readonly NamedFiles[] {
  const texts = [...new Set(files.map(({ record }) => record.text))];
  return texts.map((text) => ({
    files: files.filter(({ record }) => record.text === text).map(({ file }) => file),
    text,
  }));
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

const numberTexts: readonly (readonly [string, (spread: Spread) => string])[] = [
  [
    'functions',
    ({ total, median, max }) =>
      `functions replaced: ${total}; in one update ${median} (median), ${max} at most`,
  ],
  [
    'size',
    ({ median, max }) => `size of an update: ${formatSize(median)} (median), ${formatSize(max)} at most`,
  ],
  [
    'compared',
    ({ total, median, max }) =>
      `code compared: ${formatSize(total)}; for one update ${formatSize(median)} (median), ${formatSize(max)} at most`,
  ],
  ['resident', ({ total, count }) => `modules that stay loaded when undone: ${total} of ${count}`],
  [
    'stoppedUs',
    ({ median, max }) =>
      `all CPUs stopped, to apply: ${milliseconds(median)} (median), ${milliseconds(max)} at most`,
  ],
];

function milliseconds(microseconds: number): string {
  return `${(microseconds / 1000).toFixed(1)} ms`;
}

/** The numbers that a table has of every update, in words; for those that are there. */
export function numbersText({ seconds, numbers }: StageSummary): readonly string[] {
  const texts = numberTexts.flatMap(([name, text]) => {
    const spread = numbers.get(name);
    return spread === undefined ? [] : [text(spread)];
  });
  if (seconds === undefined) return texts;
  const [median, max, total] = [seconds.median, seconds.max, seconds.total].map((each) =>
    formatDuration(each * 1000),
  );
  return [...texts, `time for a file: ${median} (median), ${max} at most, ${total} in all`];
}

/** For the terminal: one line an outcome, its causes below it. */
export function summaryText(stages: readonly StageSummary[]): string {
  const lines = stages.flatMap((stage) => [
    `${stage.name}: ${stage.files} files`,
    ...(stage.files === 0 ? [] : stage.outcomes).flatMap(({ title, files, causes }) => [
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
