import type { PatchCursor } from './cursor.ts';
import { readFileName, stripFileName } from './file-name.ts';
import type { PatchFileKind } from './model.ts';
import { crlf } from './parse-hunk.ts';

/** What git says of a file between `diff --git` and `---`. */
export interface GitHeader {
  /** Undefined: nothing special, the hunks say all. */
  readonly kind?: Exclude<PatchFileKind, 'changed'>;
  readonly path: string;
  readonly oldPath?: string;
}

/** Lines that git may write there and that say nothing to us. */
const ignored = /^(?:index |similarity index |dissimilarity index |old mode |new mode )/;

/**
 * Reads git's extended header; the cursor stands on `diff --git` and is left after the header (and after
 * the data of a binary patch).
 */
export function parseGitHeader(cursor: PatchCursor): GitHeader {
  const start = cursor.line;
  const first = cursor.peek() ?? '';
  if (first.endsWith('\r')) throw crlf(cursor);
  cursor.at += 1;
  let kind: GitHeader['kind'];
  let from: string | undefined;
  let to: string | undefined;
  for (;;) {
    const line = cursor.peek();
    if (line === undefined) break;
    if (line.startsWith('new file mode ')) kind = 'new';
    else if (line.startsWith('deleted file mode ')) kind = 'deleted';
    else if (line.startsWith('rename from ')) [kind, from] = ['renamed', line.slice(12)];
    else if (line.startsWith('rename to ')) [kind, to] = ['renamed', line.slice(10)];
    else if (line.startsWith('copy from ')) [kind, from] = ['copied', line.slice(10)];
    else if (line.startsWith('copy to ')) [kind, to] = ['copied', line.slice(8)];
    else if (line.startsWith('Binary files ')) kind = 'binary';
    else if (line === 'GIT binary patch') {
      kind = 'binary';
      skipBinaryData(cursor);
      break;
    } else if (!ignored.test(line)) break;
    cursor.at += 1;
  }
  const pair = from === undefined || to === undefined ? undefined : { from, to };
  const path = pair === undefined ? pathOfGitLine(cursor, first, start) : bareName(cursor, pair.to, start);
  const oldPath = pair === undefined ? undefined : bareName(cursor, pair.from, start);
  return {
    ...(kind === undefined ? {} : { kind }),
    path,
    ...(oldPath === undefined ? {} : { oldPath }),
  };
}

/** `rename from` and its like name the file without a/ or b/. */
function bareName(cursor: PatchCursor, text: string, line: number): string {
  const read = readFileName(text);
  if (read === undefined) throw cursor.error('malformed quoted name', line);
  return stripFileName(cursor, `a/${read.name}`, line);
}

/**
 * The path of `diff --git a/P b/P`. With a space in P only the two halves' being equal tells where the
 * first name ends; where they are not equal, other lines of the header have named the files.
 */
function pathOfGitLine(cursor: PatchCursor, line: string, number: number): string {
  const rest = line.slice('diff --git '.length);
  if (rest.startsWith('"')) {
    const second = readFileName(readFileName(rest)?.rest.trimStart() ?? '');
    if (second === undefined || second.name === '') throw cursor.error('malformed quoted name', number);
    return stripFileName(cursor, second.name, number);
  }
  for (let space = rest.indexOf(' '); space > 0; space = rest.indexOf(' ', space + 1)) {
    const [left, right] = [rest.slice(0, space), rest.slice(space + 1)];
    if (left.slice(left.indexOf('/')) === right.slice(right.indexOf('/')) && right !== '') {
      return stripFileName(cursor, right, number);
    }
  }
  const last = rest.slice(rest.lastIndexOf(' ') + 1);
  return stripFileName(cursor, last, number);
}

/** The data of a binary patch ends before the next file, or at the mail's signature. */
function skipBinaryData(cursor: PatchCursor): void {
  for (;;) {
    const next = cursor.peek();
    if (next === undefined || next.startsWith('diff --git ') || next === '-- ') return;
    cursor.at += 1;
  }
}
