/**
 * C files, and files of assembly, that are no units of their own but are included by others: kernel/sched/rt.c is
 * part of kernel/sched/build_policy.o. A patch to one of them is a patch to the units that include it, and to
 * pass it over because no object has its name would leave the fix out.
 *
 * All `#include`s of such files in the tree are found once by reading it all (seconds, kept beside the
 * prepared tree). Which of them is meant is decided as the compiler would, from the including file's
 * directory; where that fails, by the end of the path, which may name a file too many: then a unit is
 * compiled that does not change. The compiler's own list of what it read has the last word on each unit.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../process/run.ts';
import { writeWhole } from '../process/write-whole.ts';
import type { PreparedTree } from './tree.ts';

/** Includer and the name in its `#include`. */
type Inclusion = readonly [includer: string, included: string];

/**
 * The files that include `source`, directly or through another file, without `source` itself.
 */
export function includersOf(source: string, inclusions: readonly Inclusion[]): readonly string[] {
  const found = new Set<string>();
  const queue = [source];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (const [includer, included] of inclusions) {
      if (includer === source || found.has(includer) || !mayInclude(includer, included, next)) continue;
      found.add(includer);
      queue.push(includer);
    }
  }
  return [...found].sort();
}

function mayInclude(includer: string, included: string, wanted: string): boolean {
  const beside = path.posix.join(path.posix.dirname(includer), included);
  if (beside === wanted) return true;
  const tail = included.replace(/^(?:\.\.?\/)+/, '');
  return tail !== path.posix.basename(tail) && wanted.endsWith(`/${tail}`);
}

/**
 * Every `#include` of a `.c` or `.S` file in the tree, and of the headers that include one in turn; other
 * architectures and host tools aside.
 */
export async function readInclusions(
  tree: PreparedTree,
  onProgress?: (message: string) => void,
): Promise<readonly Inclusion[]> {
  const file = path.join(tree.buildDir, '.ksplice', 'inclusions-with-assembly');
  const stored = await readFile(file, 'utf8').catch(() => undefined);
  if (stored !== undefined) return parse(stored);
  onProgress?.('reading the source tree for sources that are included by others');
  const lines: string[] = [];
  const known = new Set<string>();
  let names = ['[^>"]*[.][cS]'];
  while (names.length > 0) {
    const found = await findIncludes(tree.source, names);
    lines.push(...found);
    const headers = parse(found.join('\n')).flatMap(([includer]) =>
      includer.endsWith('.h') && !known.has(includer) ? [includer] : [],
    );
    for (const header of headers) known.add(header);
    const bases = new Set(headers.map((header) => path.posix.basename(header)));
    names = [...bases].map((base) => `([^>"]*/)?${base.replaceAll('.', '[.]')}`);
  }
  const text = lines.join('\n');
  await writeWhole(file, text);
  return parse(text);
}

/** The lines that include a file of one of these names (extended regular expressions). */
async function findIncludes(source: string, names: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run(
    [
      'grep',
      '-rE',
      '--include=*.[chS]',
      '--exclude-dir=tools',
      '--exclude-dir=Documentation',
      '--exclude-dir=scripts',
      `^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"](${names.join('|')})[>"]`,
      '.',
    ],
    { cwd: source, okExitCodes: [0, 1] },
  );
  return stdout.split('\n').filter((line) => line !== '' && !/^\.\/arch\/(?!x86\/)/.test(line));
}

function parse(text: string): readonly Inclusion[] {
  return text.split('\n').flatMap((line): Inclusion[] => {
    const found = /^\.\/([^:]+):.*include\s*[<"]([^>"]+)[>"]/.exec(line);
    return found?.[1] === undefined || found[2] === undefined ? [] : [[found[1], found[2]]];
  });
}
