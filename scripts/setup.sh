#!/bin/sh
# Makes a fresh clone ready: Debian packages that are missing, then node_modules.
#
# Plain sh, because it runs before anything of this project can. Nothing is done twice: on a machine that is
# ready it only looks, without root and without network.
set -eu
cd "$(dirname "$0")/.."

# What to compile a kernel's units with, what to read and unpack Debian's packages with, the guests, and a browser.
PACKAGES='
	bc binutils bison flex gcc gcc-12 libc6-dev libelf-dev libssl-dev make pahole patch perl zlib1g-dev
	bzip2 ca-certificates cpio diffutils dpkg kmod lz4 lzop tar util-linux xz-utils zstd
	busybox-static qemu-system-x86
	git lintian mmdebstrap
	sparse stress-ng tcc
	groff-base man-db mandoc
	chromium fonts-dejavu-core
'

# fail MESSAGE [LINE]...: further lines can be pasted as they are.
fail() {
	printf 'setup: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" >&2
	exit 69
}

check_node() {
	command -v node >/dev/null || fail 'node: not found, needed: Node 20.19 or later' "$NODE_HELP"
	node -e '
		const [major, minor] = process.versions.node.split(".").map(Number);
		process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
	' || fail "node: found $(node --version), needed: Node 20.19 or later" "$NODE_HELP"
	command -v npm >/dev/null || fail 'npm: not found, it comes with Node' "$NODE_HELP"
}
NODE_HELP="Debian 12's own nodejs is Node 18. Unpack the Linux x64 archive of a Node 20 from nodejs.org into
  /usr/local (tar -C /usr/local --strip-components=1 -xf node-v20.*-linux-x64.tar.xz), or put its bin/
  first in PATH."

missing_packages() {
	for package in $PACKAGES; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
		[ "$status" = installed ] || printf ' %s' "$package"
	done
}

install_packages() {
	missing=$(missing_packages)
	[ -n "$missing" ] || return 0
	install="apt-get install -y --no-install-recommends$missing"
	if [ "$(id -u)" -ne 0 ]; then
		fail 'packages are missing, and only root can install them. Run:' "sudo sh -c 'apt-get update && $install'"
	fi
	echo "setup: installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q || fail 'apt-get update failed'
	# shellcheck disable=SC2086 # a list of words
	apt-get install -q -y --no-install-recommends $missing || fail "could not install$missing"
}

# The lock file that node_modules was made from lies in it, so that only another one means another npm ci.
install_modules() {
	cmp -s package-lock.json node_modules/.installed-lock && return 0
	echo 'setup: npm ci'
	npm ci --ignore-scripts --no-audit --no-fund || fail 'npm ci failed'
	cp package-lock.json node_modules/.installed-lock
}

check_node
command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
	fail 'no dpkg and apt-get: this project is built and tested on Debian 12'
install_packages
install_modules
