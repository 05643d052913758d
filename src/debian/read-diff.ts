/**
 * From the output of `diff -urN FROM TO` to a patch that is the same wherever it is made.
 *
 * diff prints the names of the two trees and the files' times, which say where and when the trees were unpacked.
 * Here each file's header is written anew: `a/PATH`, `b/PATH`, `/dev/null` on the side where there is no file, no
 * times; and files come in the order of their paths rather than of directories.
 *
 * A removed line that begins with `-- ` looks like a header, so headers are only looked for outside of hunks, and a
 * hunk's length comes from its own header. Lines are kept as bytes, one char code each (latin1): a few files of the
 * kernel are not UTF-8, and the last line may lack its newline.
 */
import { InternalError } from '../diagnostics/error.ts';

export interface DiffedFile {
  readonly path: string;
  /** Header and hunks, each line with its newline; or one sentence where there can be no hunks (binary files). */
  readonly text: string;
}

export interface DiffTrees {
  readonly from: string;
  readonly to: string;
  /** Whether the tree on that side has the file. */
  readonly has: (side: 'from' | 'to', path: string) => boolean;
}

/** Throws InternalError for what diff does not print. Files come sorted by path. */
export function readDiff(output: string, trees: DiffTrees): readonly DiffedFile[] {
  const lines = output.split('\n');
  if (lines.at(-1) === '') {
    lines.pop();
  }
  const files: DiffedFile[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? '';
    if (line.startsWith('diff ')) {
      at += 1;
    } else if (line.startsWith('--- ')) {
      const path = pathOf(line, '--- ', trees.from);
      const other = pathOf(lines[at + 1] ?? '', '+++ ', trees.to);
      if (path !== other) {
        throw new InternalError('unexpected', `diff: compares ${path} with ${other}`);
      }
      const end = endOfHunks(lines, at + 2);
      const header = [
        `--- ${trees.has('from', path) ? `a/${path}` : '/dev/null'}`,
        `+++ ${trees.has('to', path) ? `b/${path}` : '/dev/null'}`,
      ];
      files.push({ path, text: `${[...header, ...lines.slice(at + 2, end)].join('\n')}\n` });
      at = end;
    } else {
      files.push(readSentence(line, trees));
      at += 1;
    }
  }
  return files.sort(byPath);
}

/** The order of a patch: by path, whatever the directories. */
export function byPath(a: DiffedFile, b: DiffedFile): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

/** The path in a header line, which ends with a tab and a time. */
function pathOf(line: string, marker: string, root: string): string {
  const tab = line.indexOf('\t');
  const start = `${marker}${root}/`;
  if (!line.startsWith(start) || tab < 0) {
    throw new InternalError(
      'unexpected',
      `diff: expected ${start}PATH and a time, found ${JSON.stringify(line)}`,
    );
  }
  return line.slice(start.length, tab);
}

function endOfHunks(lines: readonly string[], start: number): number {
  let at = start;
  for (;;) {
    const match = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(lines[at] ?? '');
    if (match === null) {
      return at;
    }
    let oldLeft = Number(match[1] ?? 1);
    let newLeft = Number(match[2] ?? 1);
    at += 1;
    while (oldLeft > 0 || newLeft > 0) {
      const kind = lines[at]?.[0];
      if (kind === undefined || !' -+\\'.includes(kind)) {
        throw new InternalError('unexpected', `diff: hunk ends early at output line ${at + 1}`);
      }
      oldLeft -= kind === ' ' || kind === '-' ? 1 : 0;
      newLeft -= kind === ' ' || kind === '+' ? 1 : 0;
      at += 1;
    }
    // "\ No newline at end of file" after the last line belongs to it.
    while (lines[at]?.startsWith('\\') === true) {
      at += 1;
    }
  }
}

/** Binary files and symbolic links have no hunks: kept as the sentence that git prints, which patch skips. */
function readSentence(line: string, trees: DiffTrees): DiffedFile {
  for (const kind of ['Binary files', 'Symbolic links']) {
    const start = `${kind} ${trees.from}/`;
    const middle = ` and ${trees.to}/`;
    if (line.startsWith(start) && line.endsWith(' differ')) {
      const path = line.slice(start.length, line.indexOf(middle));
      return { path, text: `${kind} a/${path} and b/${path} differ\n` };
    }
  }
  throw new InternalError('unexpected', `diff: cannot read ${JSON.stringify(line)}`);
}
