/**
 * Source trees in the cache: `debian/source/VERSION`, pristine. Nobody builds in them or writes to them; a build
 * takes its own copy or its own output directory.
 *
 * A difference of a few files needs no whole tree (12 s and 1.4 GB for each version): `debian/source-part/VERSION/KEY`
 * holds a tree with those files only, KEY standing for the list of their names.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { withFileLock } from '../process/file-lock.ts';
import { isStepComplete, runStep } from '../process/steps.ts';
import { fetchPackages } from './apt.ts';
import type { AptPackage } from './apt-package.ts';
import { findSource } from './find-packages.ts';
import type { DebianOptions } from './options.ts';
import { unpackSource } from './unpack.ts';

/** Where the whole tree of a version is, or will be. */
export function sourceTreePath(version: string, options: DebianOptions): string {
  return path.join(sourceDir(options), version);
}

export async function isSourceUnpacked(version: string, options: DebianOptions): Promise<boolean> {
  return await isStepComplete(sourceDir(options), version);
}

/**
 * The whole source tree of a version, unpacked if it is not yet. `known` is its package, if the caller has looked
 * it up already. Throws MissingError `unknown_kernel`, `download_failed`.
 */
export async function sourceTree(
  version: string,
  options: DebianOptions,
  known?: AptPackage,
): Promise<string> {
  const dir = sourceDir(options);
  const tree = sourceTreePath(version, options);
  if (await isSourceUnpacked(version, options)) {
    return tree;
  }
  const source = known ?? (await findSource(version, options));
  const deb = await fetchOne(source, options);
  await withFileLock(
    path.join(dir, `${version}.lock`),
    async () => {
      await runStep(dir, version, async (output) => {
        options.onProgress?.(`unpacking the source of ${version}`);
        await unpackSource(source, deb, output, options);
      });
    },
    waiting(version, options),
  );
  return tree;
}

/**
 * A tree that holds at least those of `files` that this version has: the whole one if it is unpacked, else one
 * with just these. Paths are relative, without `.` and `..`. Throws as sourceTree does.
 */
export async function sourceFiles(
  version: string,
  files: readonly string[],
  options: DebianOptions,
): Promise<string> {
  if (await isSourceUnpacked(version, options)) {
    return sourceTreePath(version, options);
  }
  const dir = path.join(options.cacheDir, 'debian', 'source-part', version);
  const key = createHash('sha256')
    .update([...files].sort().join('\0'))
    .digest('hex')
    .slice(0, 16);
  if (!(await isStepComplete(dir, key))) {
    const source = await findSource(version, options);
    const deb = await fetchOne(source, options);
    await withFileLock(
      path.join(dir, 'lock'),
      async () => {
        await runStep(dir, key, async (output) => {
          options.onProgress?.(`unpacking ${files.join(' ')} of ${version}`);
          await unpackSource(source, deb, output, { ...options, members: files });
        });
      },
      waiting(version, options),
    );
  }
  return path.join(dir, key);
}

function sourceDir(options: DebianOptions): string {
  return path.join(options.cacheDir, 'debian', 'source');
}

async function fetchOne(source: AptPackage, options: DebianOptions): Promise<string> {
  const [deb = ''] = await fetchPackages([source], options);
  return deb;
}

function waiting(
  version: string,
  options: DebianOptions,
): { readonly wait: true; readonly busyCode: 'download_failed'; readonly onWait: () => void } {
  return {
    wait: true,
    busyCode: 'download_failed',
    onWait: () => options.onProgress?.(`waiting for another process that unpacks ${version}`),
  };
}
