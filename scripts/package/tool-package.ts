/**
 * The tool as a package of Debian: the executable, the core's sources (for create), units, completions, man pages.
 *
 * Made without debhelper, since nothing here is compiled by a rules file: the lists below are all that is in it. The parts of the scripts that
 * deal with systemd do what dh_installsystemd's do (deb-systemd-helper, deb-systemd-invoke).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import * as v from 'valibot';
import { root as commands } from '../../src/cli/run-cli.ts';
import { VERSION } from '../../src/cli/version.ts';
import { MissingError } from '../../src/diagnostics/error.ts';
import { type DebianPackage, gzipped, type PackageFile } from '../../src/packages/build-deb.ts';
import { readManPages } from '../man-pages.ts';
import { bashCompletion, completedCommands, fishCompletion, zshCompletion } from './completions.ts';

const ROOT = resolve(import.meta.dirname, '..', '..');
const MAINTAINER = 'Ksplice maintainers <maintainers@ksplice.invalid>';
/** Commands that are also called under their first names. */
const FIRST_NAMES = ['create', 'apply', 'undo', 'view'];
/** Enabled when the package is installed. */
const ENABLED = ['ksplice.service', 'ksplice-late.service', 'ksplice-shutdown.service'];

const CONTROL = {
  Package: 'ksplice',
  Version: VERSION,
  Architecture: 'amd64',
  Maintainer: MAINTAINER,
  'Pre-Depends': 'init-system-helpers (>= 1.54~)',
  Depends: 'libc6 (>= 2.28), libgcc-s1 (>= 3.4), libstdc++6 (>= 9), kmod',
  Recommends:
    'bc, binutils, bison, bzip2, cpio, flex, gcc, gcc-12, libc6-dev, libelf-dev, libssl-dev, make, pahole, patch, perl, xz-utils',
  Section: 'kernel',
  Priority: 'optional',
  Description: `rebootless updates of a running Linux kernel
 Ksplice makes an update of the kernel from a source patch and the original
 source, proves that it fits the kernel that is running, and switches over
 while all processors stand still for a moment. Nothing is rebooted, and the
 kernel is an unmodified one of Debian.
 .
 Installed updates are applied again when their kernel boots, unless the
 machine went down soon after they were applied before. What is recommended
 is needed to make updates, and not to apply them.`,
};

const POSTINST = `#!/bin/sh
set -e
case "$1" in
configure|abort-upgrade|abort-deconfigure|abort-remove)
	for unit in ${ENABLED.join(' ')}; do
		deb-systemd-helper unmask "$unit" >/dev/null || true
		if deb-systemd-helper --quiet was-enabled "$unit"; then
			deb-systemd-helper enable "$unit" >/dev/null || true
		else
			deb-systemd-helper update-state "$unit" >/dev/null || true
		fi
	done
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		# It runs already in an upgrade, which leaves updates as they are: one that was undone, too.
		systemctl --quiet is-active ksplice-shutdown.service ||
			deb-systemd-invoke start ksplice-shutdown.service ksplice.service >/dev/null || true
	fi
	;;
esac
`;

/** The units stay as they are in an upgrade: stopping one would say that the machine shuts down. */
const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	deb-systemd-invoke stop ksplice-good.timer ksplice.service ksplice-shutdown.service >/dev/null || true
fi
`;

const POSTRM = `#!/bin/sh
set -e
if [ "$1" = remove ]; then
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
	fi
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper mask ${ENABLED.join(' ')} >/dev/null || true
	fi
fi
if [ "$1" = purge ]; then
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper purge ${ENABLED.join(' ')} >/dev/null || true
		deb-systemd-helper unmask ${ENABLED.join(' ')} >/dev/null || true
	fi
	# Keys and policy in /etc/ksplice are the administrator's, and stay.
	rm -rf /var/lib/ksplice
fi
`;

const COPYRIGHT = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ksplice

Files: *
Copyright: 2026 Ksplice contributors
License: GPL-2
 This program is free software; you can redistribute it and/or modify it under
 the terms of the GNU General Public License, version 2, as published by the
 Free Software Foundation. On Debian systems its text is in
 /usr/share/common-licenses/GPL-2.
Comment: The executable holds Node.js (MIT and the licenses of what is part of
 it), and the packages of npm that package-lock.json names. Their licenses are
 in /usr/share/doc/ksplice/licenses.gz.
`;

/** What lintian says of it, and why it stays. */
const OVERRIDES = `# What is installed there is applied without being asked for: nobody but root looks at it.
ksplice: non-standard-dir-perm 0700 != 0755 [var/lib/ksplice/]
# It is asked whether a unit runs, which deb-systemd-invoke does not tell.
ksplice: maintainer-script-calls-systemctl [postinst:*]
# The executable is Node.js, as its makers linked it, and the project tests it.
ksplice: embedded-library
ksplice: hardening-no-pie
ksplice: hardening-no-bindnow
`;

/** `core/` and `include/`. */
function sources(folder: string): readonly PackageFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[chS]$|^Kbuild$|\.lds$/.test(entry.name))
    .map((entry) => {
      const from = join(entry.parentPath, entry.name);
      return { path: `usr/share/ksplice/${relative(ROOT, from)}`, from };
    });
}

/** Where Node's own license lies: beside what its archive unpacks, or what its package installs. */
function nodeLicense(): string {
  const places = [join(process.execPath, '..', '..', 'LICENSE'), '/usr/share/doc/nodejs/LICENSE'];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return readFileSync(found, 'utf8');
  throw new MissingError('missing_tool', `the license of Node.js is not at ${places.join(' or ')}`, {
    hint: 'it has to go into the package: put the file LICENSE of the Node that runs there',
  });
}

const lockSchema = v.object({
  packages: v.record(v.string(), v.looseObject({ license: v.optional(v.string()) })),
});

/** Texts of the licenses of all that is in the executable. */
function licenses(): string {
  const lock = v.parse(lockSchema, JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')));
  const modules = Object.entries(lock.packages).filter(
    ([name, entry]) => name !== '' && !('dev' in entry || 'devOptional' in entry || 'optional' in entry),
  );
  const texts = modules.map(([name, { license = 'unknown' }]) => {
    const folder = join(ROOT, name);
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file === undefined ? '' : `\n${readFileSync(join(folder, file), 'utf8')}`;
    return `== ${name.replace('node_modules/', '')}: ${license}\n${text}`;
  });
  return [`== Node.js ${process.versions.node}\n\n${nodeLicense()}`, ...texts].join('\n');
}

/** As dpkg and lintian want a date. */
function debianDate(time: number): string {
  return new Date(time * 1000).toUTCString().replace('GMT', '+0000');
}

function firstName(name: string): PackageFile {
  return {
    path: `usr/bin/ksplice-${name}`,
    contents: `#!/bin/sh\nexec /usr/bin/ksplice ${name} "$@"\n`,
    mode: 0o755,
  };
}

const doc = (name: string): string => `usr/share/doc/ksplice/${name}`;

/** @param time seconds since 1970, of every file and of the changelog's entry */
export function toolPackage(executable: string, time: number, compression: number): DebianPackage {
  const described = completedCommands(commands);
  const changelog = `ksplice (${VERSION}) unstable; urgency=medium\n\n  * See NEWS.gz for what changes for users.\n\n -- ${MAINTAINER}  ${debianDate(time)}\n`;
  const units = readdirSync(join(ROOT, 'packaging')).filter((name) => /\.(?:service|timer)$/.test(name));
  return {
    control: CONTROL,
    time,
    compression,
    directories: [{ path: 'var/lib/ksplice', mode: 0o700 }],
    scripts: { postinst: POSTINST, prerm: PRERM, postrm: POSTRM },
    files: [
      { path: 'usr/bin/ksplice', from: executable, mode: 0o755 },
      ...FIRST_NAMES.map(firstName),
      ...sources('core'),
      ...sources('include'),
      ...units.map((name) => ({ path: `lib/systemd/system/${name}`, from: join(ROOT, 'packaging', name) })),
      { path: 'usr/share/bash-completion/completions/ksplice', contents: bashCompletion(described) },
      { path: 'usr/share/zsh/vendor-completions/_ksplice', contents: zshCompletion(described) },
      { path: 'usr/share/fish/vendor_completions.d/ksplice.fish', contents: fishCompletion(described) },
      ...readManPages(ROOT, VERSION).map(({ file, text }) => ({
        path: `usr/share/man/man${file.at(-1) ?? ''}/${file}.gz`,
        contents: gzipped(text),
      })),
      { path: doc('copyright'), contents: COPYRIGHT },
      { path: doc('licenses.gz'), contents: gzipped(licenses()) },
      { path: doc('changelog.gz'), contents: gzipped(changelog) },
      { path: doc('NEWS.gz'), contents: gzipped(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')) },
      { path: 'usr/share/lintian/overrides/ksplice', contents: OVERRIDES },
    ],
  };
}
