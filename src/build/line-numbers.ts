/**
 * The lines of a patched file that the patch does not touch keep their numbers: `#line` says so behind each place that
 * makes the file longer or shorter.
 *
 * Numbers of lines are code where macros hand them over (`ASSERT_RTNL()`, `might_sleep()` of a debug kernel): a comment of two more
 * lines at the top of a file would change functions all through it. Objects cannot tell such a number from any other, so it is
 * kept from changing.
 *
 * A directive may stand where a line begins that is no continuation, outside of comments and of parentheses (the arguments of a
 * macro). It is put at the first such line behind the change, and left out if there is none before the next one.
 */
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../process/run.ts';
import { inCleanEnvironment } from './kbuild.ts';

/** Lines of the original that are others after the patch. Numbers count from 1. */
export interface ChangedLines {
  /** The first line behind it, in the original and in the patched file. */
  readonly nextBefore: number;
  readonly nextAfter: number;
  /** Where it begins, in the original and in the patched file. */
  readonly firstBefore: number;
  readonly firstAfter: number;
}

/** Reads what diff(1) prints without options: `12,13c14,16`, `4a5,6`, `7,9d6`. */
export function parseChanges(output: string): readonly ChangedLines[] {
  return [...output.matchAll(/^(\d+)(?:,(\d+))?([acd])(\d+)(?:,(\d+))?$/gm)].map(
    ([, from, fromEnd, kind, to, toEnd]) => ({
      nextBefore: Number(fromEnd ?? from) + 1,
      nextAfter: Number(toEnd ?? to) + 1,
      firstBefore: kind === 'a' ? Number(from) + 1 : Number(from),
      firstAfter: kind === 'd' ? Number(to) + 1 : Number(to),
    }),
  );
}

/** Whether a directive may stand before each line, by its index. */
export function placesForDirectives(lines: readonly string[]): readonly boolean[] {
  let inComment = false;
  let continues = false;
  let isDirective = false;
  let depth = 0;
  return lines.map((line) => {
    // Where branches of #if open a parenthesis twice, the end of a function is a new start.
    if (line.startsWith('}') && !inComment) depth = 0;
    const isPlace = !inComment && !continues && depth === 0;
    isDirective = continues ? isDirective : /^\s*#/.test(line) && !inComment;
    const state = scanLine(line, inComment, isDirective ? 0 : depth);
    inComment = state.inComment;
    if (!isDirective) depth = state.depth;
    continues = line.endsWith('\\');
    return isPlace;
  });
}

/** Comments and parentheses at the end of a line. */
function scanLine(
  line: string,
  startsInComment: boolean,
  startDepth: number,
): { readonly inComment: boolean; readonly depth: number } {
  let inComment = startsInComment;
  let depth = startDepth;
  for (let at = 0; at < line.length; at += 1) {
    if (inComment) {
      const end = line.indexOf('*/', at);
      if (end < 0) return { inComment, depth };
      inComment = false;
      at = end + 1;
      continue;
    }
    const char = line[at];
    if (char === '"' || char === "'") {
      const end = endOfLiteral(line, at);
      if (end === undefined) return { inComment, depth };
      at = end;
    } else if (char === '/' && line[at + 1] === '/') return { inComment, depth };
    else if (char === '/' && line[at + 1] === '*') {
      inComment = true;
      at += 1;
    } else if (char === '(') depth += 1;
    else if (char === ')') depth = Math.max(depth - 1, 0);
  }
  return { inComment, depth };
}

/** The closing quote of a string or character; undefined if it is not on this line. */
function endOfLiteral(line: string, start: number): number | undefined {
  for (let at = start + 1; at < line.length; at += 1) {
    if (line[at] === '\\') at += 1;
    else if (line[at] === line[start]) return at;
  }
  return undefined;
}

/** The patched text with a directive behind each change after which lines would have other numbers. */
export function withLineNumbers(patched: string, changes: readonly ChangedLines[]): string {
  const lines = patched.split('\n');
  const places = placesForDirectives(lines);
  const directives = new Map<number, number>();
  // What has to be added to the number of a line for the compiler to count as in the original.
  let shift = 0;
  for (const [index, { nextBefore, nextAfter }] of changes.entries()) {
    const wanted = nextBefore - nextAfter;
    if (wanted === shift) continue;
    const end = changes[index + 1]?.firstAfter ?? lines.length;
    for (let line = nextAfter; line < end; line += 1) {
      if (places[line - 1] !== true) continue;
      directives.set(line, line + wanted);
      shift = wanted;
      break;
    }
  }
  return lines
    .flatMap((text, index) => {
      const number = directives.get(index + 1);
      return number === undefined ? [text] : [`#line ${number}`, text];
    })
    .join('\n');
}

/**
 * The tree to compile from: a copy of a complete mirror with directives in the patched C files and headers, or the mirror
 * itself if none is needed.
 * @param source the original tree
 * @param mirror the patched one
 * @param directory where to make the copy; empty
 * @param patched paths of files that both trees have
 */
export async function numberLines(
  source: string,
  mirror: string,
  directory: string,
  patched: readonly string[],
): Promise<string> {
  const numbered = new Map<string, string>();
  for (const file of patched.filter((each) => /\.[ch]$/.test(each))) {
    const changes = await changesOf(source, mirror, file);
    // Bytes are kept, whatever they encode.
    const text = await readFile(path.join(mirror, file), 'latin1');
    const changed = withLineNumbers(text, changes);
    if (changed !== text) numbered.set(file, changed);
  }
  if (numbered.size === 0) return mirror;
  await cp(mirror, directory, { recursive: true, verbatimSymlinks: true });
  for (const [file, text] of numbered) await writeFile(path.join(directory, file), text, 'latin1');
  return directory;
}

/** What differs in a file that two trees have. */
export async function changesOf(
  before: string,
  after: string,
  file: string,
): Promise<readonly ChangedLines[]> {
  const { stdout } = await run(
    inCleanEnvironment(['diff', '--text', path.join(before, file), path.join(after, file)]),
    { okExitCodes: [0, 1] },
  );
  return parseChanges(stdout);
}
