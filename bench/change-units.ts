/**
 * Small patches for many units, made by the program: the first `return -EINVAL;` of an exported function becomes
 * `return -EPERM;`. That compiles everywhere, changes one instruction, and depends on nothing but the source.
 *
 * Taken are functions that nothing else in their file calls: no copy of them is inlined into one that ran at boot.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const BEFORE = /^(\t+)return -EINVAL;$/;
/** Functions that an update may not replace are no use here. */
const UNUSABLE = /\b(?:__init|__exit|__cold|notrace|noinstr|nokprobe_inline|inline)\b/;
const CONTEXT = 3;

export interface UnitPatch {
  /** `net/ipv4/ip_options.c` */
  readonly file: string;
  readonly text: string;
}

/** The patch of one file; undefined if it has no such function. */
export function patchOf(file: string, text: string): string | undefined {
  const lines = text.split('\n');
  let name: string | undefined;
  for (const [index, line] of lines.entries()) {
    // A function's name stands on a line that begins in the first column, its body between two braces that do.
    const header = /^[a-z][\w \t*]*?\**(\w+)\([^;]*$/.exec(line);
    if (header !== null) name = isUsable(text, line, header[1] ?? '') ? header[1] : undefined;
    else if (line.startsWith('}')) name = undefined;
    const found = name === undefined ? null : BEFORE.exec(line);
    // The text ends with a newline, so there is no line behind the last one.
    if (found === null || index < CONTEXT || index + CONTEXT + 1 >= lines.length) continue;
    const before = lines.slice(index - CONTEXT, index).map((one) => ` ${one}\n`);
    const after = lines.slice(index + 1, index + 1 + CONTEXT).map((one) => ` ${one}\n`);
    const range = `${index + 1 - CONTEXT},${2 * CONTEXT + 1}`;
    const change = `-${line}\n+${found[1] ?? ''}return -EPERM;\n`;
    return `--- a/${file}\n+++ b/${file}\n@@ -${range} +${range} @@\n${before.join('')}${change}${after.join('')}`;
  }
  return undefined;
}

function isUsable(text: string, header: string, name: string): boolean {
  return (
    !UNUSABLE.test(header) &&
    new RegExp(`^EXPORT_SYMBOL(?:_GPL)?\\(${name}\\)`, 'm').test(text) &&
    !text.includes(`NOKPROBE_SYMBOL(${name})`) &&
    [...text.matchAll(new RegExp(`\\b${name}\\(`, 'g'))].length === 1
  );
}

/** Patches for `count` of `sources` (paths in the tree), from as many directories as there are. */
export async function changeUnits(
  tree: string,
  sources: readonly string[],
  count: number,
): Promise<readonly UnitPatch[]> {
  const byDirectory = new Map<string, UnitPatch[]>();
  for (const file of sources.toSorted()) {
    // The build makes some sources itself.
    const source = await readFile(path.join(tree, file), 'latin1').catch(() => undefined);
    const text = source === undefined ? undefined : patchOf(file, source);
    if (text === undefined) continue;
    const directory = path.dirname(file);
    byDirectory.set(directory, [...(byDirectory.get(directory) ?? []), { file, text }]);
  }
  const chosen: UnitPatch[] = [];
  for (let round = 0; chosen.length < count; round += 1) {
    const next = [...byDirectory.values()].flatMap((patches) => patches[round] ?? []);
    if (next.length === 0) throw new Error(`only ${chosen.length} units have a function to change`);
    chosen.push(...next);
  }
  return chosen.slice(0, count).toSorted((a, b) => (a.file < b.file ? -1 : 1));
}
