import { describe, expect, it } from 'vitest';
import { InternalError } from '../diagnostics/error.ts';
import { type DiffTrees, readDiff } from './read-diff.ts';

const TIME = '2026-05-08 19:59:00.000000000 +0000';

function trees(missing: readonly string[] = []): DiffTrees {
  return { from: '/c/1', to: '/c/2', has: (side, path) => !missing.includes(`${side}:${path}`) };
}

function header(path: string): string {
  return `diff --unified /c/1/${path} /c/2/${path}\n--- /c/1/${path}\t${TIME}\n+++ /c/2/${path}\t${TIME}\n`;
}

function text(output: string, missing?: readonly string[]): string {
  return readDiff(output, trees(missing))
    .map((file) => file.text)
    .join('');
}

describe('readDiff', () => {
  it('writes headers without trees and times', () => {
    expect(text(`${header('fs/open.c')}@@ -1 +1 @@ int f(void)\n-a\n+b\n`)).toBe(
      '--- a/fs/open.c\n+++ b/fs/open.c\n@@ -1 +1 @@ int f(void)\n-a\n+b\n',
    );
  });

  it('names /dev/null on the side that has no file', () => {
    const output = `${header('new.c')}@@ -0,0 +1 @@\n+b\n${header('old.c')}@@ -1 +0,0 @@\n-a\n`;
    expect(text(output, ['from:new.c', 'to:old.c'])).toBe(
      '--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+b\n--- a/old.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n',
    );
  });

  it('sorts files by path, not by directory', () => {
    const hunk = '@@ -1 +1 @@\n-a\n+b\n';
    const output = ['a/z.c', 'a-b.c', 'a.c'].map((path) => header(path) + hunk).join('');
    expect(readDiff(output, trees()).map((file) => file.path)).toEqual(['a-b.c', 'a.c', 'a/z.c']);
  });

  it('takes lines in a hunk that look like headers for what they are', () => {
    const hunk = `@@ -1,4 +1,4 @@\n--- /c/1/x.c\t${TIME}\n-diff a b\n ctx\n-@@ -1 +1 @@\n+++ /c/2/x.c\n+diff a b\n+@@ -1 +1 @@\n`;
    expect(text(header('x.c') + hunk)).toBe(`--- a/x.c\n+++ b/x.c\n${hunk}`);
  });

  it('keeps the marks of a missing newline, in the middle and at the end', () => {
    const hunk = '@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n';
    const output = `${header('x.c')}${hunk}${header('y.c')}@@ -1 +1 @@\n-a\n+b\n`;
    expect(text(output)).toContain(`+++ b/x.c\n${hunk}--- a/y.c\n`);
  });

  it('keeps several hunks and bytes that are not ASCII', () => {
    const hunks = '@@ -1 +1 @@\n-\u00e9\n+\u0080\n@@ -9,2 +9 @@\n x\n-\f\n';
    expect(text(header('x.c') + hunks)).toBe(`--- a/x.c\n+++ b/x.c\n${hunks}`);
  });

  it('turns binary files and links into a sentence', () => {
    expect(text('Binary files /c/1/l o.gif and /c/2/l o.gif differ\n')).toBe(
      'Binary files a/l o.gif and b/l o.gif differ\n',
    );
    expect(text('Symbolic links /c/1/s and /c/2/s differ\n')).toBe('Symbolic links a/s and b/s differ\n');
  });

  it('is empty for equal trees', () => {
    expect(readDiff('', trees())).toEqual([]);
  });

  const broken: readonly (readonly [string, string])[] = [
    ['a truncated hunk', `${header('x.c')}@@ -1,3 +1 @@\n-a\n`],
    ['a tree that was not compared', `--- /d/x.c\t${TIME}\n+++ /c/2/x.c\t${TIME}\n`],
    ['two names', `--- /c/1/x.c\t${TIME}\n+++ /c/2/y.c\t${TIME}\n`],
    ['a sentence of another kind', 'Only in /c/1: x.c\n'],
  ];
  for (const [name, output] of broken) {
    it(`refuses ${name}`, () => {
      expect(() => readDiff(output, trees())).toThrow(InternalError);
    });
  }
});
