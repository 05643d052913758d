/**
 * A patch that changes many functions by one instruction each, made by the program: `asm volatile ("nop");` at the
 * beginning of their bodies. It compiles everywhere, and what it costs to switch such functions is the cost of the switch.
 *
 * The files are built in, and of what no guest of ours uses: ext4 and its journal, which none mounts, SELinux, which is not the security
 * module, and ACPI's interpreter, which has nothing to do after boot. Nobody is in these functions, however many threads there are.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

const DIRECTORIES = [
  'fs/ext4',
  'fs/jbd2',
  'security/selinux',
  'security/selinux/ss',
  'drivers/acpi/acpica',
] as const;
const NOP = '\tasm volatile ("nop");';
const CONTEXT = 3;
/** Not in the kernel, not to be replaced, or called at boot. */
const UNUSABLE =
  /\b(?:__init|__exit|__cold|notrace|noinstr|inline|__always_inline|__printf|__acquires|__releases)\b/;
/** The first line of a function: its type, its name, and the beginning of its parameters. */
const HEADER = /^(?:static |const |unsigned |struct )*[a-z_]\w*[ *]+(?!if\b|for\b)(\w+)\([^;{}]*$/;

export interface ChangedFile {
  /** `fs/ext4/namei.c` */
  readonly file: string;
  readonly functions: readonly string[];
  readonly patch: string;
}

interface Place {
  /** Index of the line behind the opening brace. */
  readonly at: number;
  readonly name: string;
}

/** Function bodies of a file that can take the instruction, in order. */
export function functionBodies(lines: readonly string[], leftAlone: ReadonlySet<string>): readonly Place[] {
  const places: Place[] = [];
  let header: { readonly name: string; readonly text: string } | undefined;
  for (const [index, line] of lines.entries()) {
    const found = HEADER.exec(line);
    if (found !== null) header = { name: found[1] ?? '', text: `${lines[index - 1] ?? ''}\n${line}` };
    else if (line === '{' && header !== undefined) {
      if (!UNUSABLE.test(header.text) && !leftAlone.has(header.name))
        places.push({ at: index + 1, name: header.name });
      header = undefined;
    } else if (header !== undefined && !/^\s+\S.*[,)]$/.test(line)) header = undefined;
  }
  return places;
}

/** The patch that puts the instruction at `places`; hunks of their own, whose context does not overlap. */
export function insertAt(file: string, lines: readonly string[], places: readonly Place[]): ChangedFile {
  const hunks: string[] = [];
  const functions: string[] = [];
  let end = 0;
  for (const { at, name } of places) {
    const [first, last] = [at - CONTEXT, at + CONTEXT];
    if (first < end || last >= lines.length) continue;
    const context = (from: number, to: number): string =>
      lines
        .slice(from, to)
        .map((line) => ` ${line}\n`)
        .join('');
    const shift = functions.length;
    const ranges = `-${first + 1},${2 * CONTEXT} +${first + 1 + shift},${2 * CONTEXT + 1}`;
    hunks.push(`@@ ${ranges} @@\n${context(first, at)}+${NOP}\n${context(at, last)}`);
    functions.push(name);
    end = last;
  }
  const patch = functions.length === 0 ? '' : `--- a/${file}\n+++ b/${file}\n${hunks.join('')}`;
  return { file, functions, patch };
}

/**
 * A patch of exactly `count` functions of the source tree. Functions named in `leftAlone` are not among them.
 * Throws if there are not so many.
 */
export async function changeFunctions(
  tree: string,
  count: number,
  leftAlone: ReadonlySet<string>,
): Promise<readonly ChangedFile[]> {
  const changed: ChangedFile[] = [];
  let left = count;
  for (const file of await sourcesIn(tree)) {
    if (left === 0) break;
    const lines = (await readFile(path.join(tree, file), 'latin1')).split('\n');
    const places = functionBodies(lines, leftAlone);
    let one = insertAt(file, lines, places);
    // What does not fit with its neighbours was left out: so the number is counted, and not taken from the list.
    if (one.functions.length > left) {
      const kept = new Set(one.functions.slice(0, left));
      one = insertAt(
        file,
        lines,
        places.filter((place) => kept.has(place.name)),
      );
    }
    if (one.functions.length === 0) continue;
    changed.push(one);
    left -= one.functions.length;
  }
  if (left > 0) {
    throw new Error(`${DIRECTORIES.join(', ')}: ${count - left} functions to change, ${count} wanted`);
  }
  return changed;
}

async function sourcesIn(tree: string): Promise<readonly string[]> {
  const lists = await Promise.all(
    DIRECTORIES.map(async (directory) => {
      const names = await readdir(path.join(tree, directory));
      return names.filter((name) => name.endsWith('.c')).map((name) => `${directory}/${name}`);
    }),
  );
  return lists.flatMap((files) => files.toSorted());
}
