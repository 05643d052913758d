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

/** The packages of one kernel, all built from the same source version. */
export interface KernelPackages {
  readonly image: AptPackage;
  readonly headers: AptPackage;
  readonly source: AptPackage;
}

/** What a release or a version may consist of: it becomes part of package names and of paths. */
const WORD = /^[0-9][A-Za-z0-9.+~-]*$/;

/**
 * Finds the packages of a release; the newest version where there are several, or `version`.
 * Throws MissingError `unknown_kernel`.
 */
export async function findKernel(
  release: string,
  version: string | undefined,
  options: DebianOptions,
): Promise<KernelPackages> {
  const sourceName = WORD.test(release) ? sourceNameOf(release) : undefined;
  if (sourceName === undefined) {
    throw new MissingError('unknown_kernel', `${release}: not the release of a Debian kernel`, {
      hint: 'a release is what uname -r prints, such as 6.1.0-47-cloud-amd64',
    });
  }
  const imageName = `linux-image-${release}`;
  const headersName = `linux-headers-${release}`;
  const known = await showPackages([imageName, headersName, sourceName], options);
  const images = known.filter((one) => one.name === imageName);
  const image = images.find((one) => version === undefined || one.linuxVersion === version);
  if (image === undefined) {
    if (images.length > 0) {
      throw missingVersion(imageName, String(version), images);
    }
    throw new MissingError('unknown_kernel', `${release}: apt knows no package ${imageName}`, {
      hint: await hintForRelease(release, options),
    });
  }
  const { linuxVersion } = image;
  if (linuxVersion === undefined) {
    throw new MissingError(
      'unknown_kernel',
      `${imageName} ${image.version}: not built from Debian's linux source`,
    );
  }
  return {
    image,
    headers: pick(known, headersName, linuxVersion),
    source: pick(known, sourceName, linuxVersion),
  };
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
  return new MissingError('unknown_kernel', `${name} ${version}: apt does not know this version`, {
    hint:
      versions.length > 0
        ? `apt knows ${versions.join(', ')}; apt-get update brings newer ones, an archive of old packages the others`
        : `apt knows no version of ${name}; run apt-get update, and see that deb lines for this Debian release are in apt's sources`,
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
