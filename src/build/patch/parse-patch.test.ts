import { createTwoFilesPatch, formatPatch, structuredPatch } from 'diff';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../diagnostics/error.ts';
import { parsePatch } from './parse-patch.ts';
import { renderPatch } from './render-patch.ts';
import { touchedLines } from './touched-lines.ts';

const body = '@@ -1,3 +1,4 @@\n one\n-two\n+2\n+2b\n three\n';
const plain = `--- a/fs/pipe.c\n+++ b/fs/pipe.c\n${body}`;

function failure(text: string): FormatError {
  try {
    parsePatch(text, 'fix.patch');
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
  throw new Error('parsed');
}

function namedFrom(from: string): string {
  return `--- a/${from}\n+++ b/fs/pipe.c\n${body}`;
}

function withoutMarks(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !line.startsWith('\\'));
}

describe('what is understood', () => {
  it('reads a plain diff -u with timestamps and other directory names', () => {
    const patch = parsePatch(
      `diff -u linux-6.1.170/fs/pipe.c linux-6.1.176/fs/pipe.c\n--- linux-6.1.170/fs/pipe.c\t2026-04-30 09:19:11.000000000 +0000\n+++ linux-6.1.176/fs/pipe.c\t2026-06-19 11:37:33.000000000 +0000\n${body}`,
      'fix.patch',
    );
    expect(patch.files).toHaveLength(1);
    expect(patch.files[0]).toMatchObject({ kind: 'changed', path: 'fs/pipe.c', line: 2 });
    expect(patch.files[0]?.hunks[0]).toMatchObject({
      line: 4,
      oldStart: 1,
      oldCount: 3,
      newStart: 1,
      newCount: 4,
    });
  });

  it('reads a mail of git format-patch with its signature', () => {
    const patch = parsePatch(
      `From 0123 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] pipe: fix\n\nText, with a line\n---- of dashes.\n---\n fs/pipe.c | 3 ++-\n 1 file changed\n\ndiff --git a/fs/pipe.c b/fs/pipe.c\nindex 1111111..2222222 100644\n${plain}-- \n2.39.5\n\n`,
      'fix.patch',
    );
    expect(patch.files.map((file) => [file.kind, file.path])).toEqual([['changed', 'fs/pipe.c']]);
    expect(patch.files[0]?.hunks[0]?.lines).toHaveLength(5);
  });

  it('reads new, deleted, renamed, copied, binary and mode changes, and names with spaces and quotes', () => {
    const patch = parsePatch(
      [
        'Binary files x/pic.png and y/pic.png differ',
        'diff --git a/a/new.c b/a/new.c',
        'new file mode 100644',
        'index 000..111',
        '--- /dev/null',
        '+++ b/a/new.c',
        '@@ -0,0 +1 @@',
        '+x',
        'diff --git a/a/empty.c b/a/empty.c',
        'new file mode 100644',
        'diff --git a/a/gone.c b/a/gone.c',
        'deleted file mode 100644',
        '--- a/a/gone.c',
        '+++ /dev/null',
        '@@ -1 +0,0 @@',
        '-x',
        'diff --git a/a/from.c b/a/to.c',
        'similarity index 90%',
        'rename from a/from.c',
        'rename to a/to.c',
        '--- a/a/from.c',
        '+++ b/a/to.c',
        '@@ -1 +1 @@',
        '-x',
        '+y',
        'diff --git a/a/from.c b/a/copy.c',
        'similarity index 100%',
        'copy from a/from.c',
        'copy to a/copy.c',
        'diff --git a/a/with space.c b/a/with space.c',
        'old mode 100644',
        'new mode 100755',
        'diff --git a/logo.gif b/logo.gif',
        'index 1..2 100644',
        'GIT binary patch',
        'literal 3',
        'Kc$@(d',
        '',
        'diff --git "a/a/na\\303\\257ve \\"q\\".c" "b/a/na\\303\\257ve \\"q\\".c"',
        'old mode 100644',
        'new mode 100755',
        '',
      ].join('\n'),
      'fix.patch',
    );
    expect(patch.files.map((file) => [file.kind, file.path, file.oldPath])).toEqual([
      ['binary', 'pic.png', undefined],
      ['new', 'a/new.c', undefined],
      ['new', 'a/empty.c', undefined],
      ['deleted', 'a/gone.c', undefined],
      ['renamed', 'a/to.c', 'a/from.c'],
      ['copied', 'a/copy.c', 'a/from.c'],
      ['mode', 'a/with space.c', undefined],
      ['binary', 'logo.gif', undefined],
      ['mode', 'a/na\xc3\xafve "q".c', undefined],
    ]);
  });

  it('takes file.c.orig and file.c for one file, and other names for a rename', () => {
    expect(parsePatch(namedFrom('fs/pipe.c.orig'), 'p').files[0]?.kind).toBe('changed');
    expect(parsePatch(namedFrom('fs/tube.c'), 'p').files[0]).toMatchObject({
      kind: 'renamed',
      oldPath: 'fs/tube.c',
    });
  });

  it('sees by the numbers that diff -N made a file, or took one away', () => {
    expect(parsePatch('--- a/f/x.c\n+++ b/f/x.c\n@@ -0,0 +1 @@\n+x\n', 'p').files[0]?.kind).toBe('new');
    expect(parsePatch('--- a/f/x.c\n+++ b/f/x.c\n@@ -1 +0,0 @@\n-x\n', 'p').files[0]?.kind).toBe('deleted');
  });

  it('keeps removed lines that look like headers, and bytes that are no UTF-8', () => {
    const patch = parsePatch(
      Buffer.from('--- a/f/x.c\n+++ b/f/x.c\n@@ -1,2 +1,2 @@\n--- a/y\n-\xe9\n+++ b/y\n+\xe8\n', 'latin1'),
      'p',
    );
    expect(patch.files).toHaveLength(1);
    expect(patch.files[0]?.hunks[0]?.lines.map((line) => line.text)).toEqual([
      '-- a/y',
      '\xe9',
      '++ b/y',
      '\xe8',
    ]);
    expect(Buffer.from(renderPatch(patch.files)).includes(0xe9)).toBe(true);
  });

  it('takes an empty line for an empty line of context', () => {
    const patch = parsePatch('--- a/f/x.c\n+++ b/f/x.c\n@@ -1,2 +1,2 @@\n\n-a\n+b\n', 'p');
    expect(patch.files[0]?.hunks[0]?.lines[0]).toEqual({ kind: ' ', text: '', noNewline: false });
  });

  it('marks the lines that end a file without a newline', () => {
    const patch = parsePatch(
      '--- a/f/x.c\n+++ b/f/x.c\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n',
      'p',
    );
    expect(patch.files[0]?.hunks[0]?.lines.map((line) => line.noNewline)).toEqual([true, true]);
  });

  it('says which lines go and which come', () => {
    const file = parsePatch(
      `--- a/f/x.c\n+++ b/f/x.c\n@@ -10,4 +10,5 @@\n a\n-b\n-c\n+B\n+C\n+D\n d\n@@ -30,2 +31,1 @@\n x\n-y\n`,
      'p',
    ).files[0];
    expect(file === undefined ? undefined : touchedLines(file)).toEqual({
      removed: [
        { first: 11, last: 12 },
        { first: 31, last: 31 },
      ],
      added: [{ first: 11, last: 13 }],
    });
  });
});

describe('what is refused, with its line', () => {
  const head = '--- a/fs/pipe.c\n+++ b/fs/pipe.c\n';
  const table: readonly (readonly [string, string, string])[] = [
    [
      'too few old lines',
      `x\n${head}@@ -1,7 +1,7 @@\n a\n b\n c\n-d\n+D\n e\n f\n`,
      'fix.patch:4: hunk header says 7 old lines, 6 found',
    ],
    [
      'too few new lines',
      `${head}@@ -1,1 +1,3 @@\n a\n+b\n`,
      'fix.patch:3: hunk header says 3 new lines, 2 found',
    ],
    [
      'too few lines before the next hunk',
      `${head}@@ -1,3 +1,3 @@\n a\n-b\n+c\n@@ -9 +9 @@\n-a\n+b\n`,
      'fix.patch:3: hunk header says 3 old lines, 2 found',
    ],
    [
      'too many old lines',
      `${head}@@ -1,1 +1,3 @@\n-a\n-b\n+c\n+d\n+e\n`,
      'fix.patch:3: hunk header says 1 old lines, more found',
    ],
    [
      'a line after the hunk',
      `${head}@@ -1 +1 @@\n-a\n+b\n+c\n`,
      'fix.patch:6: line after the end of the hunk: the header in line 3 says fewer lines than there are',
    ],
    [
      'a strange line',
      `${head}@@ -1,3 +1,3 @@\n a\nhello\n-b\n+c\n`,
      `fix.patch:5: line of a hunk starts with "h", expected ' ', '-' or '+'`,
    ],
    [
      'a broken header',
      `${head}@@ -1,x +1 @@\n-a\n+b\n`,
      'fix.patch:3: malformed hunk header, expected @@ -LINE,COUNT +LINE,COUNT @@',
    ],
    ['no hunk', `${head}\n`, 'fix.patch:3: no hunk after the +++ line, expected @@'],
    [
      'no +++ line',
      '--- a/fs/pipe.c\n@@ -1 +1 @@\n-a\n+b\n',
      'fix.patch:1: --- line without a +++ line after it',
    ],
    [
      'no --- line',
      '+++ b/fs/pipe.c\n@@ -1 +1 @@\n-a\n+b\n',
      'fix.patch:1: +++ line without a --- line before it',
    ],
    ['a hunk alone', '@@ -1 +1 @@\n-a\n+b\n', 'fix.patch:1: hunk without --- and +++ lines before it'],
    ['a hunk that changes nothing', `${head}@@ -1 +1 @@\n a\n`, 'fix.patch:3: hunk changes nothing'],
    [
      'overlapping hunks',
      `${head}@@ -5,2 +5,2 @@\n-a\n+b\n c\n@@ -6 +6 @@\n-a\n+b\n`,
      'fix.patch:7: hunk overlaps the one in line 3, or comes before it',
    ],
    [
      'a newline mark in the middle',
      `${head}@@ -1,2 +1,2 @@\n a\n\\ No newline at end of file\n-b\n+c\n`,
      'fix.patch:3: "\\ No newline at end of file" is not at the end of the hunk',
    ],
    [
      'a path that leaves the tree',
      `--- a/../x.c\n+++ b/../x.c\n${body}`,
      'fix.patch:2: path b/../x.c leaves the source tree',
    ],
    [
      'an absolute path',
      `--- /etc/passwd\n+++ /etc/passwd\n${body}`,
      'fix.patch:2: absolute path /etc/passwd',
    ],
    [
      'an absolute path after stripping',
      `--- a//etc/passwd\n+++ b//etc/passwd\n${body}`,
      'fix.patch:2: path b//etc/passwd is not in its plain form',
    ],
    [
      'a path without a directory',
      `--- pipe.c\n+++ pipe.c\n${body}`,
      'fix.patch:2: path pipe.c has no leading directory to strip',
    ],
    ['CR LF', plain.replaceAll('\n', '\r\n'), 'fix.patch:1: line ends with CR LF'],
    [
      'CR LF after a plain header',
      `${head}${body.replaceAll('\n', '\r\n')}`,
      'fix.patch:3: line ends with CR LF',
    ],
    [
      'CR LF in a git diff',
      `diff --git a/fs/pipe.c b/fs/pipe.c\r\n${plain.replaceAll('\n', '\r\n')}`,
      'fix.patch:1: line ends with CR LF',
    ],
    [
      'an encoded mail',
      `From: A <a@b>\nContent-Transfer-Encoding: Quoted-Printable\n\n${plain}`,
      'fix.patch:2: mail with a quoted-printable body',
    ],
    [
      'an encoded mail with CR LF',
      'Content-Transfer-Encoding: base64\r\n\r\nLS0t\r\n',
      'fix.patch:1: mail with a base64 body',
    ],
    ['an empty file', '', 'fix.patch: empty patch'],
    ['white space only', '\n \n', 'fix.patch: empty patch'],
    ['prose', 'Hello,\n--- this is not\na patch\n', 'fix.patch: no unified diff found in it'],
    ['a context diff', '*** a/x\n--- b/x\n***************\n', 'fix.patch: no unified diff found in it'],
    ['a binary file', 'a\0b', 'fix.patch:1: not a text file'],
    ['a combined diff', 'diff --cc fs/pipe.c\n', 'fix.patch:1: combined diff of a merge'],
  ];
  it.each(table)('%s', (_name, text, message) => {
    const error = failure(text);
    expect(error.message).toBe(message);
    expect(error.code).toBe('malformed_patch');
    expect(error.exitCode).toBe(65);
  });
});

describe('against the diff library', () => {
  const line = fc.constantFrom(
    '',
    'a',
    'b',
    '-- x',
    '++ y',
    '@@ -1 +1 @@',
    '\\ odd',
    'tab\t',
    ' lead',
    'int x;',
  );
  const file = fc
    .tuple(fc.array(line, { minLength: 1, maxLength: 30 }), fc.boolean())
    .map(([lines, newline]) => lines.join('\n') + (newline ? '\n' : ''));

  it('understands what it writes, and writes what applies the same', () => {
    fc.assert(
      fc.property(file, file, fc.integer({ min: 1, max: 4 }), (before, after, context) => {
        fc.pre(before !== after && before !== '' && after !== '');
        const wanted = structuredPatch('a/f/x.c', 'b/f/x.c', before, after, undefined, undefined, {
          context,
        });
        const patch = parsePatch(formatPatch(wanted), 'p');
        expect(patch.files).toHaveLength(1);
        expect(
          patch.files[0]?.hunks.map((hunk) => [
            hunk.oldStart,
            hunk.oldCount,
            hunk.newStart,
            hunk.newCount,
            hunk.lines.map((one) => one.kind + one.text),
          ]),
        ).toEqual(
          wanted.hunks.map((hunk) => [
            hunk.oldStart,
            hunk.oldLines,
            hunk.newStart,
            hunk.newLines,
            withoutMarks(hunk.lines),
          ]),
        );
        expect(parsePatch(renderPatch(patch.files), 'p').files[0]?.hunks.map((h) => h.lines)).toEqual(
          patch.files[0]?.hunks.map((h) => h.lines),
        );
      }),
    );
  });

  it('never throws anything but a FormatError, and never hangs, on damaged patches', () => {
    const good = createTwoFilesPatch('a/f/x.c', 'b/f/x.c', 'a\nb\nc\nd\n', 'a\nB\nc\nd\ne\n', '', '');
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(good.length), fc.string({ maxLength: 4 }), (from, to, put) => {
        const text = good.slice(0, from) + put + good.slice(to);
        try {
          parsePatch(text, 'p');
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
