/**
 * From the name of a kernel to the packages that it is made of.
 *
 * The release (`uname -r`) `6.1.0-47-cloud-amd64` names an image and a headers package. The source is in
 * linux-source-6.1, one package name for all updates of that series: which of its versions belongs to the
 * release, the image package says. An archive keeps only some old versions, so each of these can be missing.
 */
import { MissingError } from '../diagnostics/error.ts';
import { searchPackages, showPackages } from './apt.ts';
import type { AptPackage } from './apt-package.ts';
import { nearReleases } from './near-releases.ts';
import type { DebianOptions } from './options.ts';

/** What a kernel comes in. `image` stands for the package, which holds config, image and modules. */
export type KernelPart = 'source' | 'headers' | 'image';

export interface KernelPackages {
  /** Of the source package linux; all parts are built from it. */
  readonly version: string;
  readonly packages: ReadonlyMap<KernelPart, AptPackage>;
}

/** What a release or a version may consist of: it becomes part of package names and of paths. */
const WORD = /^[0-9][A-Za-z0-9.+~-]*$/;

/**
 * Finds the packages that hold the wanted parts of a release; of its newest version where there are several, or of
 * `version`. Throws MissingError `unknown_kernel`.
 */
export async function findKernel(
  release: string,
  parts: readonly KernelPart[],
  options: DebianOptions & { readonly version?: string },
): Promise<KernelPackages> {
  const sourceName = WORD.test(release) ? sourceNameOf(release) : undefined;
  if (sourceName === undefined) {
    throw new MissingError('unknown_kernel', `${release}: not the release of a Debian kernel`, {
      hint: 'a release is what uname -r prints, such as 6.1.0-47-cloud-amd64',
    });
  }
  const names = { image: `linux-image-${release}`, headers: `linux-headers-${release}`, source: sourceName };
  const known = await showPackages(Object.values(names), options);
  const image = await pickImage(release, names.image, known, options);
  const version = image.linuxVersion;
  if (version === undefined) {
    throw new MissingError(
      'unknown_kernel',
      `${names.image} ${image.version}: not built from Debian's linux source`,
    );
  }
  return {
    version,
    packages: new Map(
      parts.map((part) => [part, part === 'image' ? image : pick(known, names[part], version)] as const),
    ),
  };
}

async function pickImage(
  release: string,
  name: string,
  known: readonly AptPackage[],
  options: DebianOptions & { readonly version?: string },
): Promise<AptPackage> {
  const images = known.filter((one) => one.name === name);
  const { version } = options;
  // apt shows the newest first.
  const image = images.find((one) => version === undefined || one.linuxVersion === version);
  if (image !== undefined) {
    return image;
  }
  if (version !== undefined && images.length > 0) {
    throw missingVersion(name, version, images);
  }
  throw new MissingError('unknown_kernel', `${release}: apt knows no package ${name}`, {
    hint: await hintForRelease(release, options),
  });
}

/** Finds the source package of a version such as `6.1.170-3`. Throws MissingError `unknown_kernel`. */
export async function findSource(version: string, options: DebianOptions): Promise<AptPackage> {
  const sourceName = WORD.test(version) ? sourceNameOf(version) : undefined;
  if (sourceName === undefined) {
    throw new MissingError('unknown_kernel', `${version}: not a version of Debian's linux source`, {
      hint: 'a version looks like 6.1.170-3; apt-cache madison linux-source-6.1 lists them',
    });
  }
  return pick(await showPackages([sourceName], options), sourceName, version);
}

/** `linux-source-6.1`, for a release and for a version alike. */
function sourceNameOf(text: string): string | undefined {
  const series = /^\d+\.\d+(?=[.~-])/.exec(text);
  return series === null ? undefined : `linux-source-${series[0]}`;
}

function pick(known: readonly AptPackage[], name: string, version: string): AptPackage {
  const named = known.filter((one) => one.name === name);
  const found = named.find((one) => one.linuxVersion === version);
  if (found === undefined) {
    throw missingVersion(name, version, named);
  }
  return found;
}

function missingVersion(name: string, version: string, known: readonly AptPackage[]): MissingError {
  const versions = [...new Set(known.map((one) => one.linuxVersion ?? one.version))];
  const found =
    versions.length > 0
      ? `apt does not know this version, but ${versions.join(', ')}`
      : 'apt knows no version of this package';
  return new MissingError('unknown_kernel', `${name} ${version}: ${found}`, {
    hint: "run apt-get update; a version that Debian's archive has dropped needs a line for an archive of old packages in apt's sources",
    details: { package: name, version, known: versions },
  });
}

async function hintForRelease(release: string, options: DebianOptions): Promise<string> {
  const names = await searchPackages('^linux-image-[0-9]', options);
  const releases = names.map((name) => name.slice('linux-image-'.length));
  const near = nearReleases(release, releases);
  return near.length === 0
    ? 'apt has no package lists: run apt-get update'
    : `apt knows ${near.join(', ')}; run apt-get update if it should be there`;
}
