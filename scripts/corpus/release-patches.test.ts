import { expect, test } from 'vitest';
import { patchHash, splitReleaseDiff } from './release-patches.ts';

const changed = `--- a/fs/pipe.c
+++ b/fs/pipe.c
@@ -10,3 +10,2 @@ static int f(void)
 {
--- a/decoy.c
 }
@@ -20 +19,2 @@
+new
+newer
-old
@@ -30 +30,2 @@
-old
+new
+newer
`;
const added = `--- /dev/null
+++ b/fs/new.c
@@ -0,0 +1 @@
+int x;
\\ No newline at end of file
`;
const deleted = `--- a/fs/old.c
+++ /dev/null
@@ -1 +0,0 @@
-int x;
`;

test('a difference comes apart into files; joined, they are the difference again', () => {
  const patches = splitReleaseDiff(changed + added + deleted);
  expect(patches.map(({ file, kind, changedLines }) => [file, kind, changedLines])).toEqual([
    ['fs/pipe.c', 'changed', 7],
    ['fs/new.c', 'new', 1],
    ['fs/old.c', 'deleted', 1],
  ]);
  expect(patches.map(({ text }) => text).join('')).toBe(changed + added + deleted);
});

test('what has no hunks is passed over', () => {
  const binary = 'Binary files a/logo.png and b/logo.png differ\n';
  expect(splitReleaseDiff(binary + deleted).map(({ file }) => file)).toEqual(['fs/old.c']);
});

test('a difference that was cut off is an error, not a smaller corpus', () => {
  expect(() => splitReleaseDiff(changed.slice(0, changed.indexOf('+newer')))).toThrow(/within a hunk/);
});

test('two patches have the same hash only if they are the same', () => {
  const [one, two] = splitReleaseDiff(changed + deleted);
  const [again] = splitReleaseDiff(changed);
  if (one === undefined || two === undefined || again === undefined) throw new Error('a patch is missing');
  expect(patchHash(one)).toBe(patchHash(again));
  expect(patchHash(one)).not.toBe(patchHash(two));
});
