/**
 * A patch as we understand it: files, hunks, lines.
 *
 * Patches are bytes, not text: kernel source is mostly UTF-8, but not all of it. So every string of a
 * file's content here holds one byte a character (latin1), and goes back to bytes the same way.
 */

/** One line of a hunk. */
export interface HunkLine {
  /** What becomes of it: kept, removed, added. */
  readonly kind: ' ' | '-' | '+';
  /** Without its first character and its newline; one byte a character. */
  readonly text: string;
  /** Followed by `\ No newline at end of file`: the last line of its side. */
  readonly noNewline: boolean;
}

/** Lines are numbered from 1; a side of no lines has the number of the line before it. */
export interface Hunk {
  /** Line of the `@@` in the patch, from 1. */
  readonly line: number;
  readonly oldStart: number;
  readonly oldCount: number;
  readonly newStart: number;
  readonly newCount: number;
  readonly lines: readonly HunkLine[];
}

/** What the patch does to a file. `mode` is a change of permissions and nothing else. */
export type PatchFileKind = 'changed' | 'new' | 'deleted' | 'renamed' | 'copied' | 'binary' | 'mode';

export interface PatchFile {
  readonly kind: PatchFileKind;
  /** Relative to the top of the source tree, first component of the patch's name stripped (-p1). */
  readonly path: string;
  /** The name that it had, where that differs (`renamed`, `copied`). */
  readonly oldPath?: string;
  /** Line of the patch where the file begins, from 1. */
  readonly line: number;
  /** Empty for what is not `changed`, `new` or `deleted`; maybe empty for `renamed` and `copied`. */
  readonly hunks: readonly Hunk[];
}

export interface Patch {
  /** Name for messages: `fix.patch`. */
  readonly name: string;
  readonly files: readonly PatchFile[];
}

/** First and last line, both inclusive, from 1. */
export interface LineRange {
  readonly first: number;
  readonly last: number;
}
