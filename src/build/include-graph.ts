/**
 * Which files a unit may be made of: the transitive closure of its `#include`s.
 *
 * The compiler knows exactly, but has to be run for each unit, a second each. Read as text instead, all files of
 * a configuration take seconds once, and none after that: what a file includes is kept beside the prepared
 * tree, under the file's size and times. The closure holds more than the compiler reads (conditionals are
 * ignored), never less; names are looked up as the compiler does, in the directories of the unit's own command.
 *
 * A file that a patch adds may be found in place of another, so it takes part in the lookup (`added`).
 * A name that no directory has is an include that this configuration does not reach, or a generated file of a
 * later build step: neither is in the source tree.
 *
 * Reading is synchronous: some ten thousand small files, one after the other, are read faster so.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ConfigurationUnit } from './configuration-units.ts';
import { type Include, readIncludes } from './read-includes.ts';
import type { PreparedTree } from './tree.ts';

/** Where a unit's includes are looked for: absolute directories, in order, and files read before all. */
export interface SearchPath {
  readonly directories: readonly string[];
  readonly first: readonly string[];
}

/** Of a compiler's arguments, run in `cwd`. */
export function searchPathOf(compiler: readonly string[], cwd: string): SearchPath {
  const groups: Record<'quote' | 'plain' | 'system' | 'after', string[]> = {
    quote: [],
    plain: [],
    system: [],
    after: [],
  };
  const first: string[] = [];
  const options = [
    ['-iquote', groups.quote],
    ['-isystem', groups.system],
    ['-idirafter', groups.after],
    ['-include', first],
    ['-imacros', first],
    ['-I', groups.plain],
  ] as const;
  for (let i = 0; i < compiler.length; i++) {
    const word = compiler[i] ?? '';
    const option = options.find(([name]) => word.startsWith(name));
    if (option === undefined) continue;
    const [name, list] = option;
    const value = word === name ? compiler[++i] : word.slice(name.length);
    if (value !== undefined) list.push(path.resolve(cwd, value));
  }
  // -iquote counts for "x.h" only; that it counts for <x.h> here adds files, and loses none: see `lookUp`.
  return { directories: [...groups.quote, ...groups.plain, ...groups.system, ...groups.after], first };
}

type Stored = readonly [size: number, mtime: number, ctime: number, includes: readonly Include[]];

export class IncludeGraph {
  readonly #tree: PreparedTree;
  readonly #cacheFile: string;
  readonly #stored: Map<string, Stored>;
  readonly #added: ReadonlySet<string>;
  readonly #includes = new Map<string, readonly Include[]>();
  readonly #listings = new Map<string, ReadonlySet<string> | undefined>();
  readonly #lookups = new Map<string, Map<string, readonly string[]>>();
  readonly #fixed = new Map<string, readonly string[] | undefined>();
  #isStale = false;

  /** `added`: paths in the tree that the patch brings. */
  constructor(tree: PreparedTree, added: readonly string[] = []) {
    this.#tree = tree;
    this.#cacheFile = path.join(tree.buildDir, '.ksplice', 'includes.json');
    this.#stored = readCache(this.#cacheFile);
    this.#added = new Set(added.map((file) => path.join(tree.source, file)));
  }

  /**
   * All files that the unit may be made of, its source among them (absolute). Ends early, with what was
   * found up to then, at a file of `until`.
   */
  closureOf(unit: ConfigurationUnit, until?: ReadonlySet<string>): ReadonlySet<string> {
    const { directories, first } = searchPathOf(unit.command.compiler, this.#tree.buildDir);
    const source = path.resolve(this.#tree.source, unit.source);
    const found = new Set([source, ...first]);
    const queue = [...found];
    if (queue.some((file) => until?.has(file))) return found;
    const key = directories.join(':');
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      for (const next of this.#edges(file, directories, key)) {
        if (found.has(next)) continue;
        found.add(next);
        if (until?.has(next) === true) return found;
        queue.push(next);
      }
    }
    return found;
  }

  /** Directories (paths in the tree) of files seen so far that include a file by a path with `..`. */
  climbingDirectories(): readonly string[] {
    const climbing = [...this.#includes]
      .filter(([file, list]) => file.startsWith(`${this.#tree.source}/`) && list.some(climbs))
      .map(([file]) => path.dirname(file.slice(this.#tree.source.length + 1)));
    return [...new Set(climbing)].sort();
  }

  /** Keeps what was read for the next time. */
  save(): void {
    if (!this.#isStale) return;
    mkdirSync(path.dirname(this.#cacheFile), { recursive: true });
    const temporary = `${this.#cacheFile}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify([...this.#stored]));
    renameSync(temporary, this.#cacheFile);
  }

  /** What `file` may include. The same for all units, where all names are found in the directories they share. */
  #edges(file: string, directories: readonly string[], key: string): readonly string[] {
    const fixedKey = `${directories[0] ?? ''} ${file}`;
    const known = this.#fixed.get(fixedKey);
    if (known !== undefined) return known;
    const shared = directories.slice(0, SHARED);
    const sharedKey = shared.join(':');
    const edges: string[] = [];
    let isFixed = true;
    for (const include of this.#includesOf(file)) {
      if (include.form === 'tree') {
        const named = path.join(this.#tree.source, include.name);
        if (this.#exists(named)) edges.push(named);
        continue;
      }
      const beside = path.join(path.dirname(file), include.name);
      if (include.form === 'beside' && this.#exists(beside)) {
        edges.push(beside);
        if (!this.#added.has(beside)) continue;
      }
      const isNext = include.form === 'next';
      let hits = isNext ? [] : this.#lookUp(include.name, shared, sharedKey, false);
      if (hits.length === 0 || isNext) {
        isFixed = false;
        hits = this.#lookUp(include.name, directories, key, isNext);
      }
      edges.push(...hits);
    }
    this.#fixed.set(fixedKey, isFixed ? edges : undefined);
    return edges;
  }

  /** The first that exists, and any that the patch adds before it; all of them for #include_next. */
  #lookUp(name: string, directories: readonly string[], key: string, all: boolean): readonly string[] {
    const slot = all ? `all ${key}` : key;
    const lookups = this.#lookups.get(slot) ?? new Map<string, readonly string[]>();
    this.#lookups.set(slot, lookups);
    const known = lookups.get(name);
    if (known !== undefined) return known;
    const hits: string[] = [];
    for (const directory of directories) {
      const candidate = path.join(directory, name);
      if (!this.#exists(candidate)) continue;
      hits.push(candidate);
      if (!all && !this.#added.has(candidate)) break;
    }
    lookups.set(name, hits);
    return hits;
  }

  #exists(file: string): boolean {
    if (this.#added.has(file)) return true;
    const directory = path.dirname(file);
    let names = this.#listings.get(directory);
    if (names === undefined) {
      names = listing(directory);
      this.#listings.set(directory, names);
    }
    return names.has(path.basename(file));
  }

  #includesOf(file: string): readonly Include[] {
    const known = this.#includes.get(file);
    if (known !== undefined) return known;
    const includes = this.#read(file);
    this.#includes.set(file, includes);
    return includes;
  }

  #read(file: string): readonly Include[] {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found?.isFile() !== true) return [];
    const stored = this.#stored.get(file);
    if (stored?.[0] === found.size && stored[1] === found.mtimeMs && stored[2] === found.ctimeMs)
      return stored[3];
    const includes = readIncludes(readFileSync(file, 'latin1'));
    this.#stored.set(file, [found.size, found.mtimeMs, found.ctimeMs, includes]);
    this.#isStale = true;
    return includes;
  }
}

/** kbuild puts the kernel's own directories (LINUXINCLUDE) before a unit's: so many are asked first. */
const SHARED = 8;

function climbs(include: Include): boolean {
  return include.form !== 'tree' && include.name.includes('../');
}

function listing(directory: string): ReadonlySet<string> {
  try {
    return new Set(readdirSync(directory));
  } catch {
    return new Set();
  }
}

function readCache(file: string): Map<string, Stored> {
  try {
    const entries: readonly (readonly [string, Stored])[] = JSON.parse(readFileSync(file, 'utf8'));
    return new Map(entries);
  } catch {
    return new Map();
  }
}
