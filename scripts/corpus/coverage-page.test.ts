import { expect, test } from 'vitest';
import { measuredPart, replaceMeasured } from './coverage-page.ts';
import type { StageRecord } from './records.ts';
import type { Stage } from './stage.ts';
import { summarize, summaryText } from './summary.ts';

const stage: Stage = {
  name: 'create',
  outcomes: [
    { name: 'made', title: 'updates made', goesOn: true, isBug: false, isNamed: false },
    { name: 'refused', title: 'refused', goesOn: false, isBug: false, isNamed: true },
  ],
  run: () => Promise.reject(new Error('not to be run')),
};

function record(
  outcome: string,
  causes: readonly string[],
  numbers: Record<string, number> = {},
): StageRecord {
  return { key: 'k', outcome, causes, text: '', numbers, seconds: 2 };
}

const members = [
  record('made', [], { functions: 1, size: 1024 }),
  record('made', [], { functions: 7, size: 2048 }),
  record('refused', ['data', 'init']),
  record('refused', ['data']),
  record('refused', ['module']),
].map((one, at) => ({ file: `fs/${at}.c`, records: new Map([['create', one]]) }));

test('files are counted by outcome, and by cause with those that have no other', () => {
  const [summary] = summarize([stage], members);
  expect(summary?.files).toBe(5);
  expect(summary?.outcomes.map(({ title, files }) => [title, files])).toEqual([
    ['updates made', 2],
    ['refused', 3],
  ]);
  expect(summary?.outcomes[1]?.causes).toEqual([
    { cause: 'data', files: 2, alone: 1 },
    { cause: 'init', files: 1, alone: 0 },
    { cause: 'module', files: 1, alone: 1 },
  ]);
  expect(summary?.numbers.get('functions')).toEqual({ count: 2, total: 8, median: 1, max: 7 });
});

test('a file that did not come to a stage is not counted there', () => {
  const later = { ...stage, name: 'check' };
  expect(summarize([stage, later], members)[1]?.files).toBe(0);
});

test('the terminal has a line for each outcome and cause', () => {
  const text = summaryText(summarize([stage], members));
  expect(text).toMatch(
    /^create: 5 files\n +2 {2}updates made\n +3 {2}refused\n +2 {2}data \(1 for nothing else\)\n/,
  );
});

const page = `# Title

by hand
<!-- corpus: begin. What follows is written by \`npm run corpus\`. -->
old
<!-- corpus: end -->
more by hand
`;

test('only what stands between the comments is replaced, as often as one likes', () => {
  const once = replaceMeasured(page, 'new\n');
  expect(once).toContain('# Title\n\nby hand\n<!--');
  expect(once).toContain('-->\n\nnew\n\n<!-- corpus: end -->\nmore by hand\n');
  expect(once).not.toContain('old');
  expect(replaceMeasured(once, 'new\n')).toBe(once);
});

test('a page without the comments is not written to', () => {
  expect(() => replaceMeasured('# Title\n', 'new')).toThrow(/comments that frame the table are missing/);
});

const where = {
  date: '2026-01-02',
  commit: 'abc',
  machine: 'a machine',
  release: '6.1.0',
  from: '1',
  to: '2',
  changedFiles: 9,
  files: 5,
  includedFiles: 2,
};

test('the measured part says where it was measured, and keeps to its cells', () => {
  const odd = [{ file: 'fs/x.c', records: new Map([['create', record('refused', ['a | <b>'])]]) }];
  const text = measuredPart(where, summarize([stage], odd));
  expect(text).toContain('on 2026-01-02 with commit abc, on a machine.');
  expect(text).toContain('(3 units, 2 that units include)');
  expect(text).toContain('| a \\| &lt;b&gt; | 1 | 1 |');
});

test('files that are to be named stand below the table, with what was said of them, in lines that can be read', () => {
  const said = [
    ['fs/a.c', 'refused', 'No such device'],
    ['fs/b.c', 'made', 'good'],
    ['fs/c.c', 'refused', 'a_word '.repeat(30).trim()],
    ['fs/d.c', 'refused', 'No such device'],
  ] as const;
  const some = said.map(([file, outcome, text]) => ({
    file,
    records: new Map([['create', { ...record(outcome, []), text }]]),
  }));
  const text = measuredPart(where, summarize([stage], some));
  expect(text).toContain('**refused:**\n\n- `fs/a.c`, `fs/d.c`: No such device\n- `fs/c.c`: a_word');
  expect(text).not.toContain('fs/b.c');
  expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(120);
});
