/**
 * Reads a unified diff strictly.
 *
 * Applying a patch is the business of patch(1); understanding it is ours: which files it names, what it
 * does to them, which lines it touches. Readers that are lenient lose files or hunks without a word, and
 * an update made of half a fix is worse than none. So whatever is not understood is an error with its
 * line, while the text around the diffs (a mail's header, a commit message, `index` and `Index:` lines)
 * is skipped.
 *
 * Understood: the output of `diff -u` and `diff -urN`, of git diff and git format-patch with their
 * extended headers. Renames, copies and binary files are recorded as such, for others to refuse by name.
 *
 * Reference: POSIX diff, "Diff -u Output Format"; git-diff(1), "Generating patch text with -p".
 */
import { FormatError } from '../../diagnostics/error.ts';
import { PatchCursor } from './cursor.ts';
import { isDevNull, readFileName, stripFileName } from './file-name.ts';
import { parseGitHeader } from './git-header.ts';
import type { Hunk, Patch, PatchFile } from './model.ts';
import { crlf, parseHunk } from './parse-hunk.ts';

/**
 * Understands `text` (a string is taken as UTF-8). `name` is used in messages.
 * Throws FormatError `malformed_patch`, with the line where there is one.
 */
export function parsePatch(text: string | Uint8Array, name: string): Patch {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(text);
  const cursor = new PatchCursor(name, bytes.toString('latin1').split('\n'));
  const nul = cursor.lines.findIndex((line) => line.includes('\0'));
  if (nul >= 0) throw cursor.error('not a text file', nul + 1);

  const files: PatchFile[] = [];
  for (;;) {
    const line = cursor.peek();
    if (line === undefined) break;
    checkEncoding(cursor, line);
    const file = parseFile(cursor, line);
    if (file === undefined) cursor.at += 1;
    else files.push(file);
  }
  if (files.length === 0) throw nothingFound(cursor);
  return { name, files };
}

/**
 * A mail whose body is encoded holds no patch before it is decoded, or, worse, one in which every `=` and each long
 * line is something else. `git format-patch` writes plain bodies; mail programs encode what they save.
 */
function checkEncoding(cursor: PatchCursor, line: string): void {
  const encoding = /^content-transfer-encoding:\s*(quoted-printable|base64)\s*$/i.exec(line)?.[1];
  if (encoding === undefined) return;
  throw cursor.error(
    `mail with a ${encoding.toLowerCase()} body`,
    cursor.line,
    'decode it first: git am applies it, and git format-patch -1 --stdout writes it plainly',
  );
}

/** A file's part of the patch, if one begins at the cursor. */
function parseFile(cursor: PatchCursor, line: string): PatchFile | undefined {
  if (line.startsWith('diff --git ')) return parseGitFile(cursor);
  if (line.startsWith('diff --cc ') || line.startsWith('diff --combined ')) {
    throw cursor.error('combined diff of a merge', cursor.line, 'make one diff against one parent');
  }
  if (line.startsWith('Binary files ')) return parseBinaryNote(cursor, line);
  if (line.startsWith('--- ')) {
    if (cursor.peek(1)?.startsWith('+++ ') === true) return parseNamesAndHunks(cursor, cursor.line);
    // A line of prose may start with dashes; one with a path or a timestamp is a header without its half.
    if (/^--- (?:a\/|"a\/|[^ \t]+\t)/.test(line)) throw cursor.error('--- line without a +++ line after it');
    return undefined;
  }
  if (/^\+\+\+ (?:b\/|"b\/|[^ \t]+\t)/.test(line))
    throw cursor.error('+++ line without a --- line before it');
  if (/^@@ -\d/.test(line)) throw cursor.error('hunk without --- and +++ lines before it');
  return undefined;
}

/** From `diff --git` to the last hunk of that file, if it has any. */
function parseGitFile(cursor: PatchCursor): PatchFile {
  const start = cursor.line;
  const git = parseGitHeader(cursor);
  if (git.kind === 'binary' || cursor.peek()?.startsWith('--- ') !== true) {
    return {
      kind: git.kind ?? 'mode',
      path: git.path,
      ...(git.oldPath === undefined ? {} : { oldPath: git.oldPath }),
      line: start,
      hunks: [],
    };
  }
  const body = parseNamesAndHunks(cursor, start, git.kind === 'renamed' || git.kind === 'copied');
  if (git.kind === 'renamed' || git.kind === 'copied') {
    return {
      kind: git.kind,
      path: git.path,
      ...(git.oldPath === undefined ? {} : { oldPath: git.oldPath }),
      line: start,
      hunks: body.hunks,
    };
  }
  if ((git.kind === 'new' || git.kind === 'deleted') && git.kind !== body.kind) {
    throw cursor.error(`header says ${git.kind} file, --- and +++ lines do not`, start);
  }
  return body;
}

/** `--- old`, `+++ new` and one hunk at least. */
function parseNamesAndHunks(cursor: PatchCursor, start: number, mayDiffer = false): PatchFile {
  const oldName = readName(cursor, '--- ');
  const oldLine = cursor.line;
  cursor.at += 1;
  const newName = readName(cursor, '+++ ');
  const newLine = cursor.line;
  cursor.at += 1;

  const hunks: Hunk[] = [];
  while (cursor.peek()?.startsWith('@@') === true) {
    const hunk = parseHunk(cursor);
    const before = hunks.at(-1);
    if (before !== undefined && hunk.oldStart < before.oldStart + before.oldCount) {
      throw cursor.error(`hunk overlaps the one in line ${before.line}, or comes before it`, hunk.line);
    }
    hunks.push(hunk);
  }
  const first = hunks[0];
  if (first === undefined) throw cursor.error('no hunk after the +++ line, expected @@');
  if (isDevNull(oldName) && isDevNull(newName)) throw cursor.error('both names are /dev/null', oldLine);

  const newPath = isDevNull(newName) ? undefined : stripFileName(cursor, newName, newLine);
  const oldPath = isDevNull(oldName) ? undefined : stripFileName(cursor, oldName, oldLine);
  const path = newPath ?? oldPath ?? '';
  // `diff -urN` names both sides and shows by the numbers alone that one of them does not exist.
  const isNew = oldPath === undefined || (first.oldStart === 0 && first.oldCount === 0);
  const isDeleted = newPath === undefined || (first.newStart === 0 && first.newCount === 0);
  if ((oldPath === undefined && first.oldCount > 0) || (newPath === undefined && first.newCount > 0)) {
    throw cursor.error('hunk has lines on the side that is /dev/null', first.line);
  }
  if (isNew || isDeleted) return { kind: isNew ? 'new' : 'deleted', path, line: start, hunks };
  if (oldPath !== path && !mayDiffer && !isBackupName(oldPath, path)) {
    return { kind: 'renamed', path, oldPath, line: start, hunks };
  }
  return { kind: 'changed', path, line: start, hunks };
}

/** `diff -u file.c.orig file.c` is a common way to make a patch, and no rename. */
function isBackupName(oldPath: string, path: string): boolean {
  return oldPath === `${path}.orig` || oldPath === `${path}.old` || oldPath === `${path}~`;
}

function readName(cursor: PatchCursor, prefix: '--- ' | '+++ '): string {
  const line = cursor.peek() ?? '';
  if (line.endsWith('\r')) throw crlf(cursor);
  if (!line.startsWith(prefix)) throw cursor.error(`expected a ${prefix.trim()} line`);
  const read = readFileName(line.slice(prefix.length));
  if (read === undefined) throw cursor.error('malformed quoted name');
  return read.name;
}

/** `Binary files x/a.bin and y/a.bin differ`, from a plain diff. */
function parseBinaryNote(cursor: PatchCursor, line: string): PatchFile | undefined {
  const found = /^Binary files (.+) and (.+) differ$/.exec(line);
  const name = found?.[2];
  if (name === undefined) return undefined;
  const start = cursor.line;
  const path = stripFileName(cursor, isDevNull(name) ? (found?.[1] ?? '') : name, start);
  cursor.at += 1;
  return { kind: 'binary', path, line: start, hunks: [] };
}

function nothingFound(cursor: PatchCursor): FormatError {
  const isEmpty = cursor.lines.every((line) => line.trim() === '');
  const isContext = cursor.lines.some((line) => line.startsWith('*** '));
  return new FormatError(
    'malformed_patch',
    isEmpty ? `${cursor.name}: empty patch` : `${cursor.name}: no unified diff found in it`,
    {
      hint: isContext
        ? 'this looks like a context diff: make it with diff -u'
        : 'make it with git diff or diff -u',
      details: { patch: cursor.name },
    },
  );
}
