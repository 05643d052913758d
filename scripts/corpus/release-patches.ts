import { createHash } from 'node:crypto';

/** What a release changes in one file. */
export interface FilePatch {
  /** Path in the kernel's tree: `net/ipv4/ip_options.c`. */
  readonly file: string;
  /** Both versions have the file; its contents differ. */
  readonly kind: 'changed' | 'new' | 'deleted';
  /** Header and hunks, for `patch -p1`. */
  readonly text: string;
  /** Lines that begin with `+` or `-` in the hunks. */
  readonly changedLines: number;
}

/**
 * Takes the difference of two releases apart, file by file, as `ksplice debian diff` prints it. Binary files, which
 * have no hunks there, are left out.
 *
 * Lines are counted by the hunks' own headers: a removed line that begins with `-- ` looks like a file's header.
 */
export function splitReleaseDiff(diff: string): readonly FilePatch[] {
  const lines = diff.split('\n');
  const patches: FilePatch[] = [];
  let at = 0;
  while (at < lines.length) {
    if (!(lines[at] ?? '').startsWith('--- ')) {
      at += 1;
      continue;
    }
    const end = endOfHunks(lines, at + 2);
    patches.push(filePatch(lines.slice(at, end)));
    at = end;
  }
  return patches;
}

/** SHA-256 of a patch, hexadecimal. */
export function patchHash(patch: FilePatch): string {
  return createHash('sha256').update(patch.text).digest('hex');
}

function filePatch(lines: readonly string[]): FilePatch {
  const [before = '', after = '', ...hunks] = lines;
  const oldName = before.slice('--- '.length);
  const newName = after.slice('+++ '.length);
  return {
    file: (newName === '/dev/null' ? oldName : newName).replace(/^[ab]\//, ''),
    kind: oldName === '/dev/null' ? 'new' : newName === '/dev/null' ? 'deleted' : 'changed',
    text: `${lines.join('\n')}\n`,
    changedLines: hunks.filter((line) => line.startsWith('+') || line.startsWith('-')).length,
  };
}

function endOfHunks(lines: readonly string[], start: number): number {
  let at = start;
  for (;;) {
    const header = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(lines[at] ?? '');
    if (header === null) {
      return at;
    }
    let oldLeft = Number(header[1] ?? 1);
    let newLeft = Number(header[2] ?? 1);
    at += 1;
    while (oldLeft > 0 || newLeft > 0) {
      const kind = lines[at]?.[0];
      if (kind === undefined) {
        throw new Error(`the difference of the releases ends within a hunk, at line ${at + 1}`);
      }
      if (kind !== '\\') {
        oldLeft -= kind === '+' ? 0 : 1;
        newLeft -= kind === '-' ? 0 : 1;
      }
      at += 1;
    }
    if (lines[at]?.startsWith('\\') === true) {
      at += 1;
    }
  }
}
