/**
 * Unpacking, without installing.
 *
 * A linux-source package holds one file that matters, `usr/src/linux-source-6.1.tar.xz`, and that is an archive
 * again: 139 MB that unpack to 1.4 GB. It goes through pipes from one archive reader to the next, so the inner
 * archive is never on the disk. Debian packs it in many xz blocks, which xz unpacks in parallel.
 */
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { CommandError } from '../process/command-error.ts';
import { run } from '../process/run.ts';
import { runPipeline } from '../process/run-pipeline.ts';
import type { AptPackage } from './apt-package.ts';
import type { DebianOptions } from './options.ts';

/** Makes `output` a directory with the package's files; it appears whole. */
export async function unpackPackage(deb: string, output: string, options: DebianOptions): Promise<void> {
  await makeWhole(output, async (partial) => {
    await run(['dpkg-deb', '--extract', deb, partial], signalOf(options));
  });
}

/**
 * Makes `output` the kernel source tree that the package holds, or the part of it with the given members
 * (files and directories in the tree; those that it does not have are left out). It appears whole.
 */
export async function unpackSource(
  source: AptPackage,
  deb: string,
  output: string,
  options: DebianOptions & { readonly members?: readonly string[] },
): Promise<void> {
  const { members } = options;
  const inner = `./usr/src/${source.name}.tar.xz`;
  // Not --occurrence=1, which would stop sooner: given a directory, it takes nothing but the directory itself.
  const selection =
    members === undefined ? [] : ['--', ...members.map((member) => `${source.name}/${member}`)];
  await makeWhole(output, async (partial) => {
    try {
      await runPipeline(
        [
          ['dpkg-deb', '--fsys-tarfile', deb],
          ['tar', '-x', '-O', '-f', '-', inner],
          // Owners as for any file that the user makes; times as in the archive.
          [
            'tar',
            '-x',
            '-J',
            '-f',
            '-',
            '-C',
            partial,
            '--strip-components=1',
            '--no-same-owner',
            ...selection,
          ],
        ],
        { env: { XZ_OPT: '-T0' }, ...signalOf(options) },
      );
    } catch (error) {
      if (members === undefined || !onlyMissesMembers(error)) {
        throw error;
      }
    }
  });
}

/** tar unpacks what is there, complains of each member that is not, and exits with 2 in the end. */
function onlyMissesMembers(error: unknown): boolean {
  return (
    error instanceof CommandError &&
    error.argv[0] === 'tar' &&
    error.argv.includes('-C') &&
    error.status === 2 &&
    error.stderr
      .split('\n')
      .every((line) => line === '' || /: Not found in archive$|: Exiting with failure status/.test(line))
  );
}

/**
 * Fills a directory under another name, then gives it the name `output`. The other name is new each time: when we
 * are killed, tar goes on until it has used up what is in its pipe, and must not do so in our successor's directory.
 */
async function makeWhole(output: string, make: (partial: string) => Promise<void>): Promise<void> {
  const prefix = `${path.basename(output)}.partial-`;
  const dir = path.dirname(output);
  await mkdir(dir, { recursive: true });
  for (const entry of await readdir(dir)) {
    if (entry.startsWith(prefix)) {
      await rm(path.join(dir, entry), { recursive: true, force: true, maxRetries: 10 });
    }
  }
  const partial = await mkdtemp(path.join(dir, prefix));
  await chmod(partial, 0o755); // mkdtemp makes it private
  try {
    await make(partial);
    await rename(partial, output);
  } catch (error) {
    await rm(partial, { recursive: true, force: true, maxRetries: 10 });
    throw error;
  }
}

function signalOf(options: DebianOptions): { readonly signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
