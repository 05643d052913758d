/**
 * The part of docs/coverage.md that is measured. It stands between two comments; all around it is written by hand and
 * left alone.
 */
import { numbersText, type OutcomeCount, type StageSummary } from './summary.ts';

const BEGIN = '<!-- corpus: begin. What follows is written by `npm run corpus`. -->';
const END = '<!-- corpus: end -->';

/** Where and when it was measured. */
export interface Circumstances {
  /** `2026-11-24` */
  readonly date: string;
  /** Commit of the checkout, with what is not committed said. */
  readonly commit: string;
  /** In words. */
  readonly machine: string;
  /** Release of the kernel that updates were made for. */
  readonly release: string;
  readonly from: string;
  readonly to: string;
  /** C files that change between the two versions. */
  readonly changedFiles: number;
  /** How many of the corpus are included by units and are none themselves. */
  readonly includedFiles: number;
  /** Files of the corpus. */
  readonly files: number;
}

/** Puts the part in place of the old one. Throws if the page lacks the two comments. */
export function replaceMeasured(page: string, measured: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) {
    throw new Error(`docs/coverage.md: the comments that frame the table are missing: ${BEGIN} and ${END}`);
  }
  return `${page.slice(0, begin)}${BEGIN}\n\n${measured.trimEnd()}\n\n${page.slice(end)}`;
}

/** Markdown. */
export function measuredPart(where: Circumstances, stages: readonly StageSummary[]): string {
  const lines = [
    `Measured on ${where.date} with commit ${where.commit}, on ${where.machine}.`,
    '',
    `From ${where.from} to ${where.to}, ${where.changedFiles} C files change; ${where.files} of them belong to`,
    `${where.release} (${where.files - where.includedFiles} units, ${where.includedFiles} that units include).`,
    ...stages.flatMap(stageTable),
  ];
  return `${lines.join('\n')}\n`;
}

function stageTable(stage: StageSummary): readonly string[] {
  const rows = stage.outcomes.flatMap(({ title, files, causes }) => [
    `| **${title}** | **${files}** | |`,
    ...causes.map(({ cause, files: having, alone }) => `| ${cell(cause)} | ${having} | ${alone} |`),
  ]);
  return [
    '',
    `### ${stage.name}`,
    '',
    `| of ${stage.files} files | files | for this alone |`,
    '|---|---:|---:|',
    ...rows,
    ...(numbersText(stage).length === 0 ? [] : ['']),
    ...numbersText(stage).map((text) => `- ${text}`),
    ...stage.outcomes.flatMap(namedFiles),
  ];
}

/** Below the table, since a list of files has no place in it. */
function namedFiles({ title, named }: OutcomeCount): readonly string[] {
  if (named.length === 0) return [];
  const items = named.map(
    ({ files, text }) => `- ${files.map((file) => `\`${file}\``).join(', ')}: ${cell(text)}`,
  );
  return ['', `**${title}:**`, '', ...items.flatMap((item) => wrapped(item, '  '))];
}

const COLUMNS = 120;

/** Lines of at most 120 columns where there are spaces to part it; all but the first are indented. */
function wrapped(text: string, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length > COLUMNS && line.trim() !== '') {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = longer;
  }
  return [...lines, line];
}

/** Text that stays in its cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/[<>]/g, (sign) => (sign === '<' ? '&lt;' : '&gt;'));
}
