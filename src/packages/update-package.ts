/**
 * An update as a package of Debian, for exactly the kernel that it was made for.
 *
 * What its scripts do, and why:
 *
 * - Installing it installs and applies the update, since that is what whoever installs it wants. An update that this machine does not take (its
 *   signature, a damaged file) fails the installation, with the reason. One that cannot be applied now does not: apt would be stuck on a machine
 *   that runs another kernel, or has a thread in the way. It says so, and the next boot tries again.
 * - An upgrade to another update of that ID undoes the old one before it applies the new one, and only where they differ.
 * - Removing it undoes and uninstalls the update. What cannot be undone now stays in memory until the machine boots; that is said, and does not keep the
 *   package on the machine.
 * - In a chroot, as images are built in, nothing is applied: there the running kernel is somebody else's.
 */

import { RefusedError, UsageError } from '../diagnostics/error.ts';
import type { Update } from '../update/update.ts';
import { type DebianPackage, gzipped } from './build-deb.ts';

export interface UpdatePackageOptions {
  readonly version: string | undefined;
  readonly maintainer: string | undefined;
  /** Seconds since 1970. */
  readonly time: number;
}

/** deb-version(7), without an epoch: a file name has no colon. */
const VERSION = /^[0-9][A-Za-z0-9.+~-]*$/;
const MAINTAINER = /^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$/;
/** What may stand in a shell's single quotes, and in a path. */
const PLAIN = /^[A-Za-z0-9._+~-]+$/;

/** `ksplice-update-cve-2026-53249-6.1.0-47-cloud-amd64`: letters, digits and `+-.` only (Debian Policy, 5.6.1). */
export function updatePackageName(id: string, release: string): string {
  return `ksplice-update-${id.replaceAll('_', '-')}-${release.toLowerCase().replaceAll(/[^a-z0-9.+-]/g, '-')}`;
}

function postinst(update: Update, file: string): string {
  const { id, kernel } = update;
  const { release } = kernel;
  return `#!/bin/sh
set -e
if [ "$1" = configure ]; then
	ksplice install ${file}
	if [ ! -d /run/systemd/system ]; then
		echo "${id}: not applied here; it is when ${release} boots" >&2
	elif [ "$(uname -r)" != ${release} ]; then
		echo "${id}: not applied: $(uname -r) is running, and it is for ${release}" >&2
	elif ! ksplice apply ${file}; then
		# Another update of this ID may be applied, from the version before.
		if [ -z "$2" ] || ! ksplice undo ${id} || ! ksplice apply ${file}; then
			echo "${id}: not applied now; it is tried again at the next boot (ksplice view --check)" >&2
		fi
	fi
fi
`;
}

function prerm({ id, kernel }: Update): string {
  return `#!/bin/sh
set -e
if [ "$1" = remove ]; then
	ksplice uninstall --kernel ${kernel.release} ${id} || true
	if [ -d /sys/kernel/ksplice/${id} ] && [ -d /run/systemd/system ]; then
		ksplice undo ${id} ||
			echo "${id}: not undone: it stays applied until the machine boots (ksplice undo ${id})" >&2
	fi
fi
`;
}

/** A paragraph of a control file: lines of at most 78 columns, a space before each. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 78) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(` ${word}`);
  }
  return lines.join('\n');
}

function checked(
  update: Update,
  options: UpdatePackageOptions,
): { readonly version: string; readonly maintainer: string } {
  const version = options.version ?? String(update.signature?.statement.serial ?? 1);
  const maintainer = options.maintainer ?? 'unnamed <unnamed@ksplice.invalid>';
  if (!VERSION.test(version)) {
    throw new UsageError('usage', `--package-version ${JSON.stringify(version)}: not a version of Debian's`, {
      hint: 'a digit, then letters, digits, and any of . + ~ -',
    });
  }
  if (!MAINTAINER.test(maintainer)) {
    throw new UsageError('usage', `--maintainer ${JSON.stringify(maintainer)}: expected NAME <MAIL>`, {
      hint: "as in --maintainer 'Kernel team <kernel@example.org>'",
    });
  }
  return { version, maintainer };
}

/** Throws RefusedError for an update of a kernel that is not of a Debian package. */
export function updatePackage(
  update: Update,
  bytes: Uint8Array,
  options: UpdatePackageOptions,
): DebianPackage {
  const { id, kernel, description, cves, on } = update;
  const { release, version: kernelVersion } = kernel;
  if (kernelVersion === null || !PLAIN.test(release) || !/^[A-Za-z0-9.+~:-]+$/.test(kernelVersion)) {
    throw new RefusedError('refused', `${id}: made for ${release}, of which no Debian package is known`, {
      hint: 'ksplice create --kernel RELEASE makes updates for kernels of Debian packages',
    });
  }
  const { version, maintainer } = checked(update, options);
  const name = updatePackageName(id, release);
  const file = `usr/share/ksplice/updates/${name}/${id}.ksplice`;
  const below = on.map((each) => `, ${updatePackageName(each.id, release)}`).join('');
  const fixes = cves.length === 0 ? '' : `\n .\n${wrapped(`It fixes ${cves.join(', ')}.`)}`;
  const what = description === '' ? '' : `\n .\n${wrapped(description)}`;
  const date = new Date(options.time * 1000).toUTCString().replace('GMT', '+0000');
  const doc = (each: string): string => `usr/share/doc/${name}/${each}`;
  return {
    control: {
      Package: name,
      Version: version,
      Architecture: 'amd64',
      Maintainer: maintainer,
      Depends: `ksplice, linux-image-${release} (= ${kernelVersion})${below}`,
      Section: 'kernel',
      Priority: 'optional',
      Description: `rebootless update ${id} of Linux ${release}\n${wrapped(`Updates the running kernel ${release} of Debian's ${kernelVersion}, and does so again whenever it boots.`)}${what}${fixes}`,
    },
    files: [
      { path: file, contents: bytes },
      {
        path: doc('copyright'),
        contents: `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 1991-2026 Linus Torvalds and others\nLicense: GPL-2\n On Debian systems its text is in /usr/share/common-licenses/GPL-2.\n`,
      },
      {
        path: doc('changelog.gz'),
        contents: gzipped(
          `${name} (${version}) unstable; urgency=medium\n\n  * ${id} for ${release}.\n\n -- ${maintainer}  ${date}\n`,
        ),
      },
    ],
    scripts: { postinst: postinst(update, `/${file}`), prerm: prerm(update) },
    time: options.time,
    compression: 6,
  };
}
