import type { Hunk, PatchFile } from './model.ts';

/**
 * The patch for `files` in its plainest form, with a/ and b/ before each path: what patch(1) gets to see.
 *
 * patch(1) understands more than we do (ed scripts, `Index:` and `Prereq:` lines, guesses of the file's
 * name). Given this text instead of the author's, it does exactly what we have understood.
 * Only `changed` files have a form here; others are for the caller to leave out.
 */
export function renderPatch(files: readonly PatchFile[]): Uint8Array {
  const text = files
    .map((file) => `--- a/${file.path}\n+++ b/${file.path}\n${file.hunks.map(renderHunk).join('')}`)
    .join('');
  return Buffer.from(text, 'latin1');
}

function renderHunk(hunk: Hunk): string {
  const body = hunk.lines
    .map((line) => `${line.kind}${line.text}\n${line.noNewline ? '\\ No newline at end of file\n' : ''}`)
    .join('');
  return `@@ -${hunk.oldStart},${hunk.oldCount} +${hunk.newStart},${hunk.newCount} @@\n${body}`;
}
