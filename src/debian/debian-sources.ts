/**
 * Everything that the other parts want of a Debian kernel, by its release: source, config, headers, image and
 * modules, downloaded by apt and unpacked in the cache, in `debian/kernel/RELEASE/VERSION/{image,headers}` and
 * `debian/source/VERSION`.
 *
 * Asking apt takes most of a second, so the answer is kept beside the unpacked files. It is asked again when its
 * package lists have changed since: a release can be rebuilt under the same name.
 */
import { existsSync, statSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { KspliceError, MissingError } from '../diagnostics/error.ts';
import { withFileLock } from '../process/file-lock.ts';
import { isStepComplete, runStep } from '../process/steps.ts';
import { writeWhole } from '../process/write-whole.ts';
import { fetchPackages } from './apt.ts';
import { findKernel, type KernelPackages, type KernelPart } from './find-packages.ts';
import type { DebianOptions } from './options.ts';
import { isSourceUnpacked, sourceTree, sourceTreePath } from './source-tree.ts';
import { unpackPackage } from './unpack.ts';

/** Absolute paths of a kernel's parts. Nothing in them may be changed. */
export interface DebianKernel {
  /** `6.1.0-47-cloud-amd64` */
  readonly release: string;
  /** Of the source package linux: `6.1.170-3`. */
  readonly version: string;
  /** The source tree, pristine. */
  readonly source: string;
  /** The configuration file. */
  readonly config: string;
  /** The linux-headers-RELEASE directory: Module.symvers, include/generated/utsrelease.h. */
  readonly headers: string;
  /** The vmlinuz file. */
  readonly image: string;
  /** The lib/modules/RELEASE directory. */
  readonly modules: string;
}

export interface DebianSourcesOptions extends DebianOptions {
  /** What must be there on return; all by default. The other paths tell where it would be. */
  readonly parts?: readonly KernelPart[];
  /** The version, where apt knows several builds of the release; the newest by default. */
  readonly version?: string;
}

const ALL_PARTS: readonly KernelPart[] = ['source', 'headers', 'image'];

/**
 * Gets a kernel's parts into the cache and returns where they are. Safe to run twice at once, and to kill.
 * Throws MissingError: `unknown_kernel` if apt does not know the release or lacks one of its packages,
 * `download_failed`; CommandError `missing_tool` where there is no apt.
 */
export async function debianSources(release: string, options: DebianSourcesOptions): Promise<DebianKernel> {
  const remembered = await rememberedVersion(release, options);
  if (remembered !== undefined && !remembered.stale) {
    return kernelAt(release, remembered.version, options);
  }
  let found: KernelPackages;
  try {
    found = await findKernel(release, options.parts ?? ALL_PARTS, options);
  } catch (error) {
    // Lists that were removed, a release that the archive has dropped: what we have is still good.
    if (remembered !== undefined && error instanceof KspliceError && error.exitCode === 69) {
      return kernelAt(release, remembered.version, options);
    }
    throw error;
  }
  await unpackParts(release, found, options);
  await remember(release, found.version, options);
  return kernelAt(release, found.version, options);
}

async function unpackParts(
  release: string,
  { version, packages }: KernelPackages,
  options: DebianSourcesOptions,
): Promise<void> {
  const dir = kernelDir(release, version, options);
  const missing = await missingParts([...packages.keys()], release, version, options);
  const wanted = [...packages].filter(([part]) => missing.includes(part));
  // One call of apt for all of them.
  const debs = await fetchPackages(
    wanted.map(([, one]) => one),
    options,
  );
  for (const [index, [part, one]] of wanted.entries()) {
    const deb = debs[index];
    if (part === 'source') {
      await sourceTree(version, options, one);
    } else if (deb !== undefined) {
      await withFileLock(
        path.join(dir, 'lock'),
        async () => {
          await runStep(dir, part, async (output) => {
            options.onProgress?.(`unpacking ${one.name} ${version}`);
            await unpackPackage(deb, output, options);
          });
        },
        { wait: true, busyCode: 'download_failed' },
      );
    }
  }
}

async function missingParts(
  parts: readonly KernelPart[],
  release: string,
  version: string,
  options: DebianOptions,
): Promise<readonly KernelPart[]> {
  const missing: KernelPart[] = [];
  for (const part of parts) {
    const complete =
      part === 'source'
        ? await isSourceUnpacked(version, options)
        : await isStepComplete(kernelDir(release, version, options), part);
    if (!complete) {
      missing.push(part);
    }
  }
  return missing;
}

function kernelAt(release: string, version: string, options: DebianSourcesOptions): DebianKernel {
  const dir = kernelDir(release, version, options);
  const modules = path.join(dir, 'image', 'lib', 'modules', release);
  // Debian 13 moved the modules to /usr/lib.
  const merged = path.join(dir, 'image', 'usr', 'lib', 'modules', release);
  const kernel: DebianKernel = {
    release,
    version,
    source: sourceTreePath(version, options),
    config: path.join(dir, 'image', 'boot', `config-${release}`),
    headers: path.join(dir, 'headers', 'usr', 'src', `linux-headers-${release}`),
    image: path.join(dir, 'image', 'boot', `vmlinuz-${release}`),
    modules: existsSync(merged) ? merged : modules,
  };
  const promised: Readonly<Record<KernelPart, readonly string[]>> = {
    source: [kernel.source],
    headers: [path.join(kernel.headers, 'Module.symvers')],
    image: [kernel.config, kernel.image, kernel.modules],
  };
  for (const file of (options.parts ?? ALL_PARTS).flatMap((part) => promised[part])) {
    if (!existsSync(file)) {
      throw new MissingError('unknown_kernel', `${release} ${version}: its package holds no ${file}`);
    }
  }
  return kernel;
}

function kernelDir(release: string, version: string, options: DebianOptions): string {
  return path.join(options.cacheDir, 'debian', 'kernel', release, version);
}

interface Remembered {
  readonly version: string;
  /** apt's lists have changed since: there may be a newer build. */
  readonly stale: boolean;
}

function recordPath(release: string, options: DebianOptions): string {
  return path.join(options.cacheDir, 'debian', 'kernel', release, 'version');
}

/** The answer of an earlier run, if the parts asked for are all there. */
async function rememberedVersion(
  release: string,
  options: DebianSourcesOptions,
): Promise<Remembered | undefined> {
  if (release.includes('/') || !existsSync(recordPath(release, options))) {
    return undefined;
  }
  const [version = '', stamp = ''] = (await readFile(recordPath(release, options), 'utf8')).trim().split(' ');
  const usable = version !== '' && (options.version === undefined || options.version === version);
  const missing = await missingParts(options.parts ?? ALL_PARTS, release, version, options);
  return usable && missing.length === 0 ? { version, stale: stamp !== aptListsStamp() } : undefined;
}

async function remember(release: string, version: string, options: DebianSourcesOptions): Promise<void> {
  if (options.version !== undefined) {
    return; // an older build was asked for by name: not the answer for the next who does not
  }
  const file = recordPath(release, options);
  await mkdir(path.dirname(file), { recursive: true });
  await writeWhole(file, `${version} ${aptListsStamp()}\n`);
}

/** Changes when `apt-get update` brings something new: files in this directory are replaced then. */
function aptListsStamp(): string {
  const stats = statSync('/var/lib/apt/lists', { throwIfNoEntry: false });
  return stats === undefined ? 'none' : String(stats.mtimeMs);
}
