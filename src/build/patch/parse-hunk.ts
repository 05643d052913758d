import type { PatchCursor } from './cursor.ts';
import type { Hunk, HunkLine } from './model.ts';

const header = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(?: .*)?$/;

/** A line of a hunk before it is known whether a `\ No newline` follows. */
interface OpenLine {
  kind: HunkLine['kind'];
  text: string;
  noNewline: boolean;
}

/**
 * Reads one hunk at the cursor, which stands on its `@@` line, and stops after its last line.
 *
 * The header's counts decide where a hunk ends: nothing else tells a removed line `-- x` from the
 * header of the next file or from the signature of a mail. So they are checked on both sides, and a line
 * that still looks like part of the hunk after them is an error too.
 */
export function parseHunk(cursor: PatchCursor): Hunk {
  const line = cursor.line;
  const found = header.exec(cursor.peek() ?? '');
  if (found === null) {
    if (cursor.peek()?.endsWith('\r') === true) throw crlf(cursor);
    throw cursor.error('malformed hunk header, expected @@ -LINE,COUNT +LINE,COUNT @@');
  }
  const oldStart = Number(found[1]);
  const oldCount = found[2] === undefined ? 1 : Number(found[2]);
  const newStart = Number(found[3]);
  const newCount = found[4] === undefined ? 1 : Number(found[4]);
  cursor.at += 1;

  const lines: OpenLine[] = [];
  let oldFound = 0;
  let newFound = 0;
  while (oldFound < oldCount || newFound < newCount) {
    const open = readLine(cursor, lines);
    if (open === 'end') throw tooFew(cursor, line, { oldCount, oldFound, newCount, newFound });
    if (open === 'marked') continue;
    if (open.kind !== '+') oldFound += 1;
    if (open.kind !== '-') newFound += 1;
    if (oldFound > oldCount) throw cursor.error(`hunk header says ${oldCount} old lines, more found`, line);
    if (newFound > newCount) throw cursor.error(`hunk header says ${newCount} new lines, more found`, line);
    lines.push(open);
    cursor.at += 1;
  }
  if (cursor.peek()?.startsWith('\\') === true) readLine(cursor, lines);
  checkEnd(cursor, line);
  checkNewlines(cursor, line, lines);
  if (!lines.some((one) => one.kind !== ' ')) throw cursor.error('hunk changes nothing', line);
  if (oldStart === 0 && oldCount > 0)
    throw cursor.error('hunk header says old line 0, lines start at 1', line);
  if (newStart === 0 && newCount > 0)
    throw cursor.error('hunk header says new line 0, lines start at 1', line);
  return { line, oldStart, oldCount, newStart, newCount, lines };
}

/** The line at the cursor (not yet consumed); 'marked' if it was a `\` line, consumed. */
function readLine(cursor: PatchCursor, lines: readonly OpenLine[]): OpenLine | 'marked' | 'end' {
  const text = cursor.peek();
  if (text === undefined) return 'end';
  switch (text.charAt(0)) {
    case ' ':
      return { kind: ' ', text: text.slice(1), noNewline: false };
    case '-':
      return { kind: '-', text: text.slice(1), noNewline: false };
    case '+':
      return { kind: '+', text: text.slice(1), noNewline: false };
    case '':
      // An empty context line that lost its one space on the way; patch and git take it as well. The
      // last line of the file is empty too, where the file ends in a newline: that one is the end.
      return cursor.peek(1) === undefined ? 'end' : { kind: ' ', text: '', noNewline: false };
    case '\\': {
      const last = lines.at(-1);
      if (last === undefined) throw cursor.error('\\ line without a line before it');
      last.noNewline = true;
      cursor.at += 1;
      return 'marked';
    }
    case '@':
      if (text.startsWith('@@ ')) return 'end';
      break;
    case 'd':
      if (text.startsWith('diff ')) return 'end';
      break;
  }
  if (text === '\r') throw crlf(cursor);
  throw cursor.error(
    `line of a hunk starts with ${JSON.stringify(text.charAt(0))}, expected ' ', '-' or '+'`,
  );
}

/** A patch with CR LF line ends would put a CR at the end of each line that it adds. */
export function crlf(cursor: PatchCursor): Error {
  return cursor.error('line ends with CR LF', cursor.line, 'convert it first, for example with dos2unix');
}

interface Counts {
  readonly oldCount: number;
  readonly oldFound: number;
  readonly newCount: number;
  readonly newFound: number;
}

function tooFew(cursor: PatchCursor, line: number, counts: Counts): Error {
  return counts.oldFound < counts.oldCount
    ? cursor.error(`hunk header says ${counts.oldCount} old lines, ${counts.oldFound} found`, line)
    : cursor.error(`hunk header says ${counts.newCount} new lines, ${counts.newFound} found`, line);
}

/** After the counted lines no further line of a hunk may stand. */
function checkEnd(cursor: PatchCursor, line: number): void {
  const next = cursor.peek();
  if (next === undefined || next === '') return;
  const first = next.charAt(0);
  const isHeaderOrSignature = next.startsWith('--- ') || next === '-- ' || next === '--' || next === '---';
  if (first === ' ' || first === '+' || (first === '-' && !isHeaderOrSignature)) {
    throw cursor.error(
      `line after the end of the hunk: the header in line ${line} says fewer lines than there are`,
    );
  }
}

/** A line without a newline is the last of its side. */
function checkNewlines(cursor: PatchCursor, line: number, lines: readonly OpenLine[]): void {
  for (const absent of ['+', '-'] as const) {
    const side = lines.filter((one) => one.kind !== absent);
    if (side.slice(0, -1).some((one) => one.noNewline)) {
      throw cursor.error('"\\ No newline at end of file" is not at the end of the hunk', line);
    }
  }
}
