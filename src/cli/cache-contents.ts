/**
 * What the cache holds, part by part, each with its size and the time of its last use.
 *
 * Parts are told by where they lie; the folders that this program has no part in making are listed under their names,
 * so that the sizes add up, and are never removed. The time of last use is that of the change of a part's stamp, which
 * its users touch (cache-use.ts); of a package, which is used once, the time when it came.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { run } from '../process/run.ts';

export type CacheKind =
  /** A .deb file: wanted again only if what was unpacked from it is removed. */
  | 'package'
  /** An unpacked source tree, whole or some files of it. */
  | 'source'
  /** Image, headers, configuration and modules of one kernel. */
  | 'kernel'
  /** A prepared tree: generated headers, host tools, compile commands, our code for that kernel. */
  | 'tree'
  /** Left by a run that was killed. */
  | 'leftover'
  /** Something else: not ours to remove. */
  | 'other';

export interface CachePart {
  readonly kind: CacheKind;
  /** Relative to the cache. */
  readonly path: string;
  /** `uname -r` of the one kernel that it belongs to; null if it serves several, or none. */
  readonly release: string | null;
  /** Of the source package that it is, or was built from; null if that is not known. */
  readonly version: string | null;
  /** On the disk, in bytes. */
  readonly size: number;
  readonly lastUsed: Date;
  /** Files that say that it is complete, relative to the cache: to be removed before it. */
  readonly stamps: readonly string[];
}

type Found = Omit<CachePart, 'size' | 'lastUsed'>;

/** All parts, largest first. Nothing where there is no cache. */
export async function readCache(cacheDir: string, signal?: AbortSignal): Promise<readonly CachePart[]> {
  const found = [
    ...packages(cacheDir),
    ...sources(cacheDir),
    ...kernels(cacheDir),
    ...trees(cacheDir),
    ...leftovers(cacheDir, 'work', /^create-/),
    ...others(cacheDir),
  ];
  const sizes = await sizesOf(
    cacheDir,
    found.map((part) => part.path),
    signal,
  );
  return found
    .map((part) => ({ ...part, size: sizes.get(part.path) ?? 0, lastUsed: lastUse(cacheDir, part) }))
    .sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
}

function list(cacheDir: string, ...parts: readonly string[]): readonly string[] {
  const directory = path.join(cacheDir, ...parts);
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
    ? readdirSync(directory).sort()
    : [];
}

function packages(cacheDir: string): readonly Found[] {
  const place = 'debian/packages';
  return list(cacheDir, place).map((name) => {
    const [, packageName = '', version = ''] = /^([^_]+)_([^_]+)_[^_]+\.deb$/.exec(name) ?? [];
    return {
      kind: name.endsWith('.deb') ? 'package' : 'leftover',
      path: `${place}/${name}`,
      release: /^linux-(?:image|headers)-(\d.*)$/.exec(packageName)?.[1] ?? null,
      version: version === '' ? null : version,
      stamps: [],
    };
  });
}

/** Whole trees, with a stamp each; and trees of a few files, one folder a version. */
function sources(cacheDir: string): readonly Found[] {
  const whole = list(cacheDir, 'debian/source').filter((name) => !/\.(?:complete|lock)$/.test(name));
  return [
    ...whole.map((name): Found => {
      const isComplete = existsSync(path.join(cacheDir, 'debian/source', `${name}.complete`));
      const stamps = isComplete ? [`debian/source/${name}.complete`] : [];
      const kind = isComplete ? 'source' : 'leftover';
      return { kind, path: `debian/source/${name}`, release: null, version: name, stamps };
    }),
    ...list(cacheDir, 'debian/source-part').map(
      (name): Found => ({
        kind: name.endsWith('.partial-removed') ? 'leftover' : 'source',
        path: `debian/source-part/${name}`,
        release: null,
        version: name,
        stamps: [],
      }),
    ),
  ];
}

function kernels(cacheDir: string): readonly Found[] {
  const place = 'debian/kernel';
  return list(cacheDir, place).flatMap((release) =>
    list(cacheDir, place, release)
      .filter((name) => statSync(path.join(cacheDir, place, release, name)).isDirectory())
      .map((version) => {
        const stamps = ['image', 'headers']
          .map((part) => `${place}/${release}/${version}/${part}.complete`)
          .filter((stamp) => existsSync(path.join(cacheDir, stamp)));
        const kind = stamps.length === 0 ? 'leftover' : 'kernel';
        return { kind, path: `${place}/${release}/${version}`, release, version, stamps };
      }),
  );
}

function trees(cacheDir: string): readonly Found[] {
  return list(cacheDir, 'build').map((key) => {
    const stamp = `build/${key}/.ksplice/prepared`;
    const isPrepared = existsSync(path.join(cacheDir, stamp));
    return {
      kind: isPrepared ? 'tree' : 'leftover',
      path: `build/${key}`,
      release: isPrepared ? readFileSync(path.join(cacheDir, stamp), 'utf8').trim() : null,
      version: sourceVersion(path.join(cacheDir, 'build', key, 'source')),
      stamps: isPrepared ? [stamp] : [],
    };
  });
}

/** kbuild leaves a link to the source that it builds. */
function sourceVersion(link: string): string | null {
  try {
    return /\/debian\/source\/([^/]+)$/.exec(readlinkSync(link))?.[1] ?? null;
  } catch {
    return null;
  }
}

function leftovers(cacheDir: string, place: string, pattern: RegExp): readonly Found[] {
  return list(cacheDir, place)
    .filter((name) => pattern.test(name))
    .map((name) => ({
      kind: 'leftover',
      path: `${place}/${name}`,
      release: null,
      version: null,
      stamps: [],
    }));
}

function others(cacheDir: string): readonly Found[] {
  return list(cacheDir)
    .filter((name) => !['debian', 'build', 'work', 'use.lock'].includes(name))
    .map((name) => ({ kind: 'other', path: name, release: null, version: null, stamps: [] }));
}

/** Bytes on the disk of each path, by one call of du. A file with two names counts where it comes first. */
async function sizesOf(
  cacheDir: string,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> {
  if (paths.length === 0) return new Map();
  const { stdout } = await run(['du', '-s', '--block-size=1', '-0', '--', ...paths], {
    cwd: cacheDir,
    // Something may vanish while it is counted.
    okExitCodes: [0, 1],
    ...(signal === undefined ? {} : { signal }),
  });
  return new Map(
    stdout
      .split('\0')
      .filter((row) => row !== '')
      .map((row) => {
        const tab = row.indexOf('\t');
        return [row.slice(tab + 1), Number(row.slice(0, tab))] as const;
      }),
  );
}

/** Stamps change when they are touched, or written; a package changes when it gets its name. */
function lastUse(cacheDir: string, part: Found): Date {
  const files = part.stamps.length === 0 ? [part.path] : part.stamps;
  const times = files.map((file) => statSync(path.join(cacheDir, file), { throwIfNoEntry: false })?.ctimeMs);
  return new Date(Math.max(0, ...times.map((time) => time ?? 0)));
}
