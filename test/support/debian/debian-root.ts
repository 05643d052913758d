/**
 * A small Debian with systemd, as its packages make it, on a disk image for a guest. The packages come by apt's way once, and what mmdebstrap makes of
 * them is kept in the cache.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { run } from '../../../src/process/run.ts';
import { compileGuest } from '../vm/guest-program.ts';

const SUITE = 'bookworm';
const PACKAGES = ['systemd-sysv', 'kmod', 'init-system-helpers', 'libstdc++6', 'apt', 'zsh', 'fish'];
/** What nobody in a guest reads. */
const LEFT_OUT = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];
/** Wait for what a guest does not have, or do what no test looks at; each costs seconds under emulation. */
const MASKED = [
  'systemd-udev-settle.service',
  'getty@tty1.service',
  'serial-getty@ttyS0.service',
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'logrotate.timer',
  'systemd-tmpfiles-clean.timer',
];
/** Sparse: room for packages, and for an image of the guest's memory. */
const DISK_MB = 2000;

/** Of the harness: takes commands as soon as the system is up. */
const AGENT_UNIT = `[Unit]
Description=Commands from the host
DefaultDependencies=no
After=sysinit.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/usr/local/sbin/agent /dev/ttyS1 /sys/bus/pci/devices/0000:00:10.0
KillMode=process
OOMScoreAdjust=-1000

[Install]
WantedBy=sysinit.target
`;

/** A tar of the system. */
export async function rootArchive(cacheDir: string): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([SUITE, PACKAGES, LEFT_OUT]))
    .digest('hex')
    .slice(0, 16);
  const archive = join(cacheDir, 'guest', `debian-${key}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(dirname(archive), { recursive: true });
  const unfinished = `${archive}.${process.pid}.tar`;
  await run([
    'mmdebstrap',
    '--variant=essential',
    `--include=${PACKAGES.join(',')}`,
    ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
    SUITE,
    unfinished,
  ]);
  await rename(unfinished, archive);
  return archive;
}

/** Unpacks the system into the new directory `root`, and installs `packages` (paths of .deb files) in it as in a chroot. */
export async function debianRoot(root: string, packages: readonly string[], cacheDir: string): Promise<void> {
  await mkdir(root);
  await run(['tar', '-xf', await rootArchive(cacheDir), '-C', root, '--numeric-owner']);
  for (const deb of packages) {
    await run(['cp', deb, join(root, 'tmp', basename(deb))]);
    await run(['chroot', root, 'dpkg', '-i', `/tmp/${basename(deb)}`]);
    await rm(join(root, 'tmp', basename(deb)));
  }
}

/** A file for the disk: its path there, and its contents. */
export interface DiskFile {
  readonly path: string;
  readonly contents: Uint8Array | string;
  /** 0644 unless told. */
  readonly mode?: number;
}

/** A disk image with Debian, `packages` installed in a chroot, and `files`. Removed by the caller. */
export async function debianDisk(
  image: string,
  packages: readonly string[],
  cacheDir: string,
  files: readonly DiskFile[] = [],
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ksplice-debian-'));
  try {
    const root = join(folder, 'root');
    await debianRoot(root, packages, cacheDir);
    await run(['cp', await compileGuest('agent', cacheDir), join(root, 'usr/local/sbin/agent')]);
    await run(['cp', await compileGuest('source_route', cacheDir), join(root, 'usr/local/bin/source_route')]);
    const units = join(root, 'etc/systemd/system');
    await writeFile(join(units, 'agent.service'), AGENT_UNIT);
    await mkdir(join(units, 'sysinit.target.wants'), { recursive: true });
    await run(['ln', '-s', '../agent.service', join(units, 'sysinit.target.wants/agent.service')]);
    for (const unit of MASKED) await run(['ln', '-sf', '/dev/null', join(units, unit)]);
    await writeFile(join(root, 'etc/fstab'), '/dev/vda / ext4 defaults 0 0\n');
    await writeFile(join(root, 'etc/hostname'), 'guest\n');
    await mkdir(join(root, 'etc/systemd/journald.conf.d'), { recursive: true });
    await writeFile(
      join(root, 'etc/systemd/journald.conf.d/disk.conf'),
      '[Journal]\nStorage=persistent\nSyncIntervalSec=1s\n',
    );
    for (const { path, contents, mode = 0o644 } of files) {
      await mkdir(join(root, dirname(path)), { recursive: true });
      await writeFile(join(root, path), contents, { mode });
    }
    await run(['mke2fs', '-q', '-t', 'ext4', '-d', root, '-O', '^metadata_csum', image, `${DISK_MB}M`]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
