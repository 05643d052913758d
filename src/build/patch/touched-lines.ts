import type { HunkLine, LineRange, PatchFile } from './model.ts';

/** Which lines of the old file go, and which lines of the new file come. Both in rising order. */
export function touchedLines(file: PatchFile): {
  readonly removed: readonly LineRange[];
  readonly added: readonly LineRange[];
} {
  return { removed: rangesOf(file, '-'), added: rangesOf(file, '+') };
}

function rangesOf(file: PatchFile, kind: '-' | '+'): readonly LineRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const hunk of file.hunks) {
    let line = kind === '-' ? hunk.oldStart : hunk.newStart;
    for (const one of hunk.lines) {
      if (one.kind === kind) extend(ranges, line);
      if (isOnSide(one, kind)) line += 1;
    }
  }
  return ranges;
}

function isOnSide(line: HunkLine, kind: '-' | '+'): boolean {
  return line.kind === ' ' || line.kind === kind;
}

function extend(ranges: { first: number; last: number }[], line: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.last === line - 1) last.last = line;
  else ranges.push({ first: line, last: line });
}
