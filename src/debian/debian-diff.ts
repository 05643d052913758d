/**
 * What changed between two versions of Debian's kernel source, as a patch for `patch -p1`.
 *
 * Debian's packages carry every fix of a release at once, so this is where the fix for one file comes from:
 * `ksplice debian diff 6.1.170-3 6.1.176-1 --file net/ipv4/ip_options.c`.
 */
import { lstatSync } from 'node:fs';
import path from 'node:path';
import { Writable } from 'node:stream';
import { FormatError, UsageError } from '../diagnostics/error.ts';
import { CommandError } from '../process/command-error.ts';
import { run } from '../process/run.ts';
import { findSource } from './find-packages.ts';
import type { DebianOptions } from './options.ts';
import { byPath, type DiffedFile, readDiff } from './read-diff.ts';
import { sourceFiles, sourceTree } from './source-tree.ts';

export interface DebianDiffOptions extends DebianOptions {
  /** Paths in the tree, of files or directories; the whole tree if there are none. */
  readonly files?: readonly string[];
}

/**
 * A unified diff with -p1 paths, sorted by path, without times: same versions, same text. Empty if nothing differs.
 * Throws MissingError `unknown_kernel`, `download_failed`; UsageError for a path that neither version has.
 */
export async function debianDiff(from: string, to: string, options: DebianDiffOptions): Promise<string> {
  const files = [...new Set((options.files ?? []).map(normalPath))].sort();
  if (files.length === 0 && from === to) {
    await findSource(from, options);
    return '';
  }
  const tops = files.filter((file) => !isBelow(file, files));
  const tree = async (version: string): Promise<string> =>
    files.length === 0 ? await sourceTree(version, options) : await sourceFiles(version, tops, options);
  // One after the other: each uses all processors already.
  const [oldTree, newTree] = [await tree(from), await tree(to)];
  const unknown = files.filter((file) => !isIn(oldTree, file) && !isIn(newTree, file));
  if (unknown.length > 0) {
    throw new UsageError('usage', `${unknown.join(', ')}: neither in ${from} nor in ${to}`, {
      hint: 'paths are those in the kernel source tree, such as net/ipv4/ip_options.c',
    });
  }
  options.onProgress?.(`comparing ${from} and ${to}`);
  const diffed: DiffedFile[] = [];
  for (const pair of files.length === 0 ? [''] : tops) {
    const output = await diffOutput(path.join(oldTree, pair), path.join(newTree, pair), options.signal);
    diffed.push(
      ...readDiff(output, {
        from: oldTree,
        to: newTree,
        has: (side, file) => isIn(side === 'from' ? oldTree : newTree, file),
      }),
    );
  }
  return decode(diffed.sort(byPath));
}

function isIn(tree: string, file: string): boolean {
  return lstatSync(path.join(tree, file), { throwIfNoEntry: false }) !== undefined;
}

/** Paths as the archive has them. Throws UsageError for one that leads out of the tree. */
function normalPath(file: string): string {
  const normal = path.posix.normalize(file).replace(/\/$/, '');
  if (
    file === '' ||
    normal === '.' ||
    normal.startsWith('/') ||
    normal === '..' ||
    normal.startsWith('../')
  ) {
    throw new UsageError(
      'usage',
      `--file ${JSON.stringify(file)}: not a path inside the kernel source tree`,
      {
        hint: 'such as net/ipv4/ip_options.c',
      },
    );
  }
  return normal;
}

/** Whether a directory above the file is in the list as well. */
function isBelow(file: string, files: readonly string[]): boolean {
  return files.some((other) => file.startsWith(`${other}/`));
}

const DIFF = [
  'diff',
  '--unified',
  '--recursive',
  '--new-file',
  '--show-c-function',
  '--no-dereference',
] as const;

const TROUBLE = 2;

/** diff's output, a char code for each byte. Links are compared as links: some lead to directories in the tree. */
async function diffOutput(from: string, to: string, signal: AbortSignal | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  const argv = [...DIFF, '--', from, to] as const;
  const { exitCode, stderr } = await run(argv, {
    okExitCodes: [0, 1, TROUBLE],
    stdoutTo: sink,
    ...(signal === undefined ? {} : { signal }),
  });
  // Binary files that differ count as trouble too, but without a message.
  if (exitCode === TROUBLE && stderr !== '') {
    throw new CommandError({
      argv,
      code: 'command_failed',
      reason: `exit status ${exitCode}`,
      status: exitCode,
      stderr,
    });
  }
  return Buffer.concat(chunks).toString('latin1');
}

function decode(diffed: readonly DiffedFile[]): string {
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return diffed
    .map(({ path: file, text }) => {
      try {
        return utf8.decode(Buffer.from(text, 'latin1'));
      } catch (cause) {
        throw new FormatError('malformed_patch', `${file}: its difference is not UTF-8 text`, {
          hint: 'name the other files with --file',
          cause,
        });
      }
    })
    .join('');
}
