/**
 * Which of the lines that a patch changes have code in a function: why it differs, as far as lines tell. A function may be
 * replaced for code of its own, or of a function that is inlined into it, in its source or in a header.
 *
 * Lines that go are looked for in the original's line table, where every number is exact. New lines are looked for in
 * that of the patched unit. There they may have the number of a line of the original, since numbers are kept from
 * changing (build/line-numbers.ts); such a line counts only where the original has no code of that number. So a line
 * may be missed, and none is named that has no code here.
 *
 * Not every difference has such a line: a type, a macro or a constant that changes has no code of its own, and a compiler
 * may inline otherwise.
 */
import type { ChangedCode, ChangedFile } from '../build/line-numbers.ts';
import type { LineRow } from '../elf/line-table.ts';
import { readLineRows } from '../elf/line-table.ts';
import type { ObjectFile, SectionIndex } from '../elf/model.ts';
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

/** What is known about the source of a unit. */
export interface UnitSource {
  readonly changed: readonly ChangedFile[];
  readonly functions: { readonly pre: readonly SourceFunction[]; readonly post: readonly SourceFunction[] };
  readonly isNumbered: boolean;
}

type Rows = ReadonlyMap<SectionIndex, readonly LineRow[]>;

/** `FILE:LINE` of code in the given parts of an object. */
function linesIn(rows: Rows, parts: readonly ItemPart[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { section, offset, size } of parts) {
    for (const { from, to, file, line } of rows.get(section) ?? []) {
      if (from < offset + size && to > offset) found.add(`${file}:${line}`);
    }
  }
  return found;
}

/** Finds the code of a patch in the functions of one unit. */
export class PatchedCodeFinder {
  readonly #source: UnitSource;
  readonly #pre: Rows;
  readonly #post: Rows;
  /** All lines of the original that have code in the unit. */
  readonly #known: ReadonlySet<string>;

  /** `pre` and `post` as `ReplacedFunction` speaks of them. */
  constructor(pre: ObjectFile, post: ObjectFile, source: UnitSource) {
    this.#source = source;
    this.#pre = readLineRows(pre);
    this.#post = readLineRows(post);
    this.#known = new Set(
      [...this.#pre.values()].flatMap((rows) => rows.map(({ file, line }) => `${file}:${line}`)),
    );
  }

  find(replaced: ReplacedFunction): readonly PatchedCode[] {
    const before = linesIn(this.#pre, [replaced.pre, ...replaced.preCold]);
    const after = linesIn(this.#post, [replaced.post, ...replaced.postCold]);
    const name = sourceName(replaced.name);
    const found = new Map<string, { removed: number[]; added: number[]; code: PatchedCode }>();
    const add = (
      file: string,
      owners: readonly SourceFunction[],
      side: 'removed' | 'added',
      line: number,
    ): void => {
      const owner = owners.find((each) => each.name === name) ?? owners[0];
      const key = `${file} ${owner?.name}`;
      const isInlined = owner !== undefined && owner.name !== name;
      const code = { file, function: owner?.name, isInlined, removed: [], added: [] };
      const known = found.get(key) ?? { removed: [], added: [], code };
      known[side].push(line);
      found.set(key, known);
    };
    for (const { path: file, changes } of this.#source.changed) {
      const gone = new Set(changes.flatMap(({ removed }) => removed));
      for (const change of changes) {
        for (const line of change.removed) {
          if (before.has(`${file}:${line}`))
            add(file, functionsOfLine(this.#source.functions.pre, file, line), 'removed', line);
        }
        for (const line of this.#source.isNumbered ? change.addedNumbered : change.added) {
          if (!after.has(`${file}:${line}`)) continue;
          if (this.#source.isNumbered && !gone.has(line) && this.#known.has(`${file}:${line}`)) continue;
          add(file, this.#ownersOfNew(file, change, line, gone), 'added', line);
        }
      }
    }
    return [...found.values()].map(({ code, removed, added }) => ({
      ...code,
      removed: rising(removed),
      added: rising(added),
    }));
  }

  /**
   * Functions that a new line is part of: one that begins among the new lines before it, else the one that they are put
   * into.
   */
  #ownersOfNew(
    file: string,
    change: ChangedCode,
    line: number,
    gone: ReadonlySet<number>,
  ): readonly SourceFunction[] {
    const { functions, isNumbered } = this.#source;
    if (!isNumbered) return functionsOfLine(functions.post, file, line);
    const added = new Set(change.addedNumbered);
    const isOld = (one: SourceFunction): boolean =>
      !gone.has(one.line) &&
      functions.pre.some(
        (each) => each.file === one.file && each.line === one.line && each.name === one.name,
      );
    const fresh = functions.post.filter((one) => one.file === file && added.has(one.line) && !isOld(one));
    const beginsHere = functionsOfLine(fresh, file, line);
    if (beginsHere.length > 0) return beginsHere;
    const others = functions.post.filter((one) => one.file === file && !added.has(one.line));
    const before = [...functions.pre, ...others];
    return functionsOfLine(before, file, change.at - 1);
  }
}

function rising(lines: readonly number[]): readonly number[] {
  return [...new Set(lines)].toSorted((a, b) => a - b);
}
