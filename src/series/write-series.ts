/**
 * Writes the series as git would send it.
 *
 * git makes the patches, so that they are what git and patch take: in a repository of their own, away, which holds only
 * the files that the series changes. Names and dates are given, and no configuration of the user's is read: the same
 * source and the same core make the same bytes.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { UsageError } from '../diagnostics/error.ts';
import { run } from '../process/run.ts';
import { coverLetter, type SeriesPatch, seriesPatches } from './patches.ts';
import { EditedTree } from './tree.ts';

export interface SeriesOptions {
  /** Source tree of the kernel; not written to. */
  readonly source: string;
  /** core/ of this project. */
  readonly coreSources: string;
  /** Where the patches go: a directory that is empty, or is made. */
  readonly output: string;
  /** `Name <address>`, for From and Signed-off-by. */
  readonly author: string;
  /** Seconds since 1970, the date of every mail. */
  readonly date: number;
  readonly signal?: AbortSignal;
}

export interface Series {
  /** `6.1.170`. */
  readonly version: string;
  /** Names of the patch files, in order; the cover letter is the first. */
  readonly files: readonly string[];
  /** Paths of the kernel's files that are changed or added, sorted. */
  readonly changed: readonly string[];
}

/** The version in a kernel's Makefile. Throws UsageError for a directory that is no source tree. */
function versionOf(tree: EditedTree, source: string): string {
  const makefile = tree.originalOf('Makefile') ?? '';
  const [version, patchlevel, sublevel] = ['VERSION', 'PATCHLEVEL', 'SUBLEVEL'].map(
    (name) => new RegExp(`^${name} = (\\d+)$`, 'm').exec(makefile)?.[1],
  );
  if (version === undefined || patchlevel === undefined || sublevel === undefined) {
    throw new UsageError('usage', `${source}: not the source tree of a kernel: no version in its Makefile`);
  }
  return `${version}.${patchlevel}.${sublevel}`;
}

/** The files that a patch has left changed since `before`. */
async function writeChanged(tree: EditedTree, directory: string, before: Map<string, string>): Promise<void> {
  for (const { path: file, text } of tree.changed()) {
    if (before.get(file) === text) continue;
    before.set(file, text);
    const target = path.join(directory, file);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, text);
  }
}

/** What the series makes of the source. All patches are tried before anything is written. */
function editAll(source: string, patches: readonly SeriesPatch[]): EditedTree {
  const tree = new EditedTree(source);
  for (const { edit } of patches) edit(tree);
  return tree;
}

/** Throws RefusedError if this kernel lacks what the core needs to be right, UsageError for a bad source or output. */
export async function writeSeries(options: SeriesOptions): Promise<Series> {
  const { source, output, author, date, signal } = options;
  const patches = seriesPatches(options.coreSources, author);
  const version = versionOf(new EditedTree(source), source);
  const changed = editAll(source, patches)
    .changed()
    .map(({ path: file }) => file);

  await mkdir(output, { recursive: true });
  if ((await readdir(output)).length > 0) {
    throw new UsageError('usage', `${output}: not empty`, {
      hint: 'the series is written to a directory of its own',
    });
  }
  const work = await mkdtemp(path.join(tmpdir(), 'ksplice-series-'));
  try {
    const files = await makePatches({ ...options, patches, version, work, changed, date, signal });
    return { version, files, changed };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Work extends Omit<SeriesOptions, 'signal'> {
  readonly signal: AbortSignal | undefined;
  readonly patches: readonly SeriesPatch[];
  readonly version: string;
  readonly work: string;
  readonly changed: readonly string[];
}

async function makePatches(given: Work): Promise<readonly string[]> {
  const { source, output, author, patches, version, work } = given;
  const [, name = '', address = ''] = /^(.*) <(.*)>$/.exec(author) ?? [];
  // Without the sign git takes a small number for something else.
  const when = `@${given.date} +0000`;
  const env = {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: address,
    GIT_AUTHOR_DATE: when,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: address,
    GIT_COMMITTER_DATE: when,
    TZ: 'UTC',
  };
  const git = (...argv: readonly string[]) =>
    run(['git', '-C', work, ...argv], {
      env,
      ...(given.signal === undefined ? {} : { signal: given.signal }),
    });
  const commit = async (message: string): Promise<void> => {
    await git('add', '--all', '--force');
    await git('commit', '--quiet', '--no-verify', '--message', message);
  };

  await git('init', '--quiet', '--initial-branch=series');
  const tree = new EditedTree(source);
  for (const file of given.changed) {
    const text = tree.originalOf(file);
    if (text === undefined) continue;
    await mkdir(path.dirname(path.join(work, file)), { recursive: true });
    await writeFile(path.join(work, file), text);
  }
  await commit(`Linux ${version}`);
  const before = new Map<string, string>();
  for (const { subject, body, edit } of patches) {
    edit(tree);
    await writeChanged(tree, work, before);
    await commit(`${subject}\n\n${body}\n\nSigned-off-by: ${author}`);
  }
  await git(
    'format-patch',
    '--quiet',
    '--cover-letter',
    '--no-signature',
    '--diff-algorithm=histogram',
    '--no-renames',
    `-${patches.length}`,
    '-o',
    path.resolve(output),
  );
  return await finishCover(output, version, given.date);
}

/** git's cover letter has two places to fill in, and the time of day. */
async function finishCover(output: string, version: string, seconds: number): Promise<readonly string[]> {
  const files = (await readdir(output)).sort();
  const [first = ''] = files;
  const cover = path.join(output, first);
  const text = await readFile(cover, 'utf8');
  const date = new Date(seconds * 1000).toUTCString().replace('GMT', '+0000');
  await writeFile(
    cover,
    text
      .replace(/^Date: .*$/m, `Date: ${date}`)
      .replace('*** SUBJECT HERE ***', 'ksplice: Hot updates of the running kernel')
      .replace('*** BLURB HERE ***', () => coverLetter(version)),
  );
  return files;
}
