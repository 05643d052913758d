/**
 * Which of the lines that a patch changes have code in a function: why it differs, as far as lines tell. A function may be
 * replaced for code of its own, or of a function that is inlined into it, in its source or in a header.
 *
 * Lines that go are looked for in the line table of the original, new ones in that of the patched source as it is: where
 * numbers were kept from changing (build/line-numbers.ts) one number may be of two lines.
 *
 * Not every difference has such a line: a type, a macro or a constant that changes has no code of its own, and a compiler
 * may inline otherwise.
 */
import type { ChangedFile } from '../build/source-of-code.ts';
import type { LineRow } from '../elf/line-table.ts';
import type { SectionIndex } from '../elf/model.ts';
import { functionsOfLine, type SourceFunction } from '../elf/source-functions.ts';
import { sourceName } from './base-name.ts';
import type { ItemPart, ReplacedFunction } from './unit-change.ts';

/** Lines of one function of the source that have code in a replaced function. */
export interface PatchedCode {
  readonly file: string;
  /** Undefined if no function is known to begin before them. */
  readonly function: string | undefined;
  /** Code of another function, which is inlined. */
  readonly isInlined: boolean;
  /** Lines of the original, and of the patched source; rising, each once. */
  readonly removed: readonly number[];
  readonly added: readonly number[];
}

/** Where the code of an object is from. */
export interface SourceOfCode {
  readonly rows: ReadonlyMap<SectionIndex, readonly LineRow[]>;
  readonly functions: readonly SourceFunction[];
}

/** `FILE:LINE` of code in the given parts of an object. */
function linesIn(source: SourceOfCode, parts: readonly ItemPart[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { section, offset, size } of parts) {
    for (const { from, to, file, line } of source.rows.get(section) ?? []) {
      if (from < offset + size && to > offset) found.add(`${file}:${line}`);
    }
  }
  return found;
}

interface Found {
  readonly file: string;
  readonly function: string | undefined;
  readonly side: 'removed' | 'added';
  readonly line: number;
}

/** By the function of the source; of those that one macro makes, the replaced one. */
function findLines(
  changed: readonly ChangedFile[],
  side: Found['side'],
  source: SourceOfCode | undefined,
  parts: readonly ItemPart[],
  replaced: string,
): readonly Found[] {
  if (source === undefined) return [];
  const lines = linesIn(source, parts);
  return changed.flatMap((each) =>
    each[side]
      .filter((line) => lines.has(`${each.path}:${line}`))
      .map((line) => {
        const owners = functionsOfLine(source.functions, each.path, line);
        const owner = owners.find(({ name }) => name === replaced) ?? owners[0];
        return { file: each.path, function: owner?.name, side, line };
      }),
  );
}

const rising = (lines: readonly number[]): readonly number[] => [...new Set(lines)].toSorted((a, b) => a - b);

/**
 * @param pre,post of the objects that `replaced` speaks of; undefined where that cannot be told
 */
export function findPatchedCode(
  changed: readonly ChangedFile[],
  pre: SourceOfCode | undefined,
  post: SourceOfCode | undefined,
  replaced: ReplacedFunction,
): readonly PatchedCode[] {
  const name = sourceName(replaced.name);
  const before = findLines(changed, 'removed', pre, [replaced.pre, ...replaced.preCold], name);
  const after = findLines(changed, 'added', post, [replaced.post, ...replaced.postCold], name);
  const byFunction = new Map<string, Found[]>();
  for (const one of [...before, ...after]) {
    const key = `${one.file} ${one.function}`;
    byFunction.set(key, [...(byFunction.get(key) ?? []), one]);
  }
  return [...byFunction.values()].flatMap((all) => {
    const [first] = all;
    if (first === undefined) return [];
    const of = (side: Found['side']): readonly number[] =>
      rising(all.filter((one) => one.side === side).map(({ line }) => line));
    return [
      {
        file: first.file,
        function: first.function,
        isInlined: first.function !== undefined && first.function !== name,
        removed: of('removed'),
        added: of('added'),
      },
    ];
  });
}
