/**
 * What a guest boots into: one initramfs made of two cpio archives.
 *
 * The base holds what is large and rarely changes: busybox, this machine's node, flock and kmod with
 * their libraries (what every Debian has, and ksplice calls), 100 MB. It is written once and kept in the cache,
 * named for the path, size and modification time of everything in it (hashing 100 MB each time would cost more
 * than it tells). The second archive holds the rest, is small, and
 * is made for each boot. Both are stored uncompressed: copying from a file that the host has in memory is fast,
 * while inflating 43 MB of gzip under emulation adds a second to every boot.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles } from '../../../scripts/bundle.ts';
import { MissingError } from '../../../src/diagnostics/error.ts';
import { run } from '../../../src/process/run.ts';
import { type CpioEntry, encodeCpio } from './cpio.ts';
import { compileGuest, guestSource } from './guest-program.ts';

/** A file to put into the guest before it boots: its contents, or a file of this machine. */
export interface GuestFile {
  /** Absolute, in the guest. */
  readonly path: string;
  readonly contents?: Uint8Array | string;
  readonly from?: string;
  /** Permission bits; 0644 unless told. */
  readonly mode?: number;
}

const BUSYBOX = '/bin/busybox';
const FLOCK = '/usr/bin/flock';
const KMOD = '/usr/bin/kmod';
const KMOD_NAMES = ['insmod', 'rmmod', 'lsmod', 'modprobe', 'modinfo', 'depmod'];
const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:unprivileged:/home/user:/bin/sh\n';
const GROUP = 'root:x:0:\nuser:x:1000:\n';
const KSPLICE_WRAPPER = '#!/bin/sh\nexec /usr/bin/node /opt/ksplice/ksplice.cjs "$@"\n';

async function output(...argv: readonly [string, ...string[]]): Promise<string> {
  return (await run(argv)).stdout;
}

/** Paths of a program's shared libraries and of its loader; the guest has them in the same places. */
export async function sharedLibraries(program: string): Promise<readonly string[]> {
  const lines = (await output('ldd', program)).split('\n');
  return lines.flatMap((line) => {
    const path = /(?:=> )?(\/\S+) \(0x[0-9a-f]+\)$/.exec(line.trim())?.[1];
    return path === undefined ? [] : [path];
  });
}

async function checkBusybox(): Promise<void> {
  try {
    await stat(BUSYBOX);
    const libraries = await output('ldd', BUSYBOX).catch(() => '');
    if (!libraries.includes('=>')) {
      return;
    }
  } catch {
    // reported below, with what to install
  }
  throw new MissingError('missing_tool', `${BUSYBOX}: not found, or not static; the guest is made of it`, {
    hint: 'apt-get install busybox-static',
  });
}

async function writePieces(path: string, pieces: readonly Uint8Array[], flags: 'w' | 'a'): Promise<void> {
  const file = await open(path, flags);
  try {
    for (const piece of pieces) {
      await file.writeFile(piece);
    }
  } finally {
    await file.close();
  }
}

/** The large archive: made when the cache does not have it. Returns its path. */
export async function baseArchive(cacheDir: string): Promise<string> {
  await checkBusybox();
  const programs = new Map([
    ['/usr/bin/node', process.execPath],
    ['/usr/bin/flock', FLOCK],
    ['/usr/bin/kmod', KMOD],
  ]);
  const libraries = await Promise.all([...programs.values()].map(sharedLibraries));
  for (const library of libraries.flat()) {
    programs.set(library, library);
  }
  programs.set('/bin/busybox', BUSYBOX);
  const key = createHash('sha256').update('base archive 3');
  for (const [path, from] of programs) {
    const { size, mtimeMs } = await stat(from);
    key.update(`\n${path} ${await realpath(from)} ${size} ${mtimeMs}`);
  }
  const folder = join(cacheDir, 'guest');
  const archive = join(folder, `base-${key.digest('hex').slice(0, 16)}.cpio`);
  if (await stat(archive).catch(() => undefined)) {
    return archive;
  }
  await mkdir(folder, { recursive: true });
  const entries: CpioEntry[] = [];
  for (const [path, from] of programs) {
    entries.push({ kind: 'file', path, contents: await readFile(from), mode: 0o755 });
  }
  for (const name of KMOD_NAMES) {
    entries.push({ kind: 'symlink', path: `/sbin/${name}`, target: '/usr/bin/kmod' });
  }
  for (const applet of (await output(BUSYBOX, '--list-full')).trim().split('\n')) {
    if (!programs.has(`/${applet}`) && !KMOD_NAMES.some((name) => applet === `sbin/${name}`)) {
      entries.push({ kind: 'symlink', path: `/${applet}`, target: '/bin/busybox' });
    }
  }
  const unfinished = `${archive}.${process.pid}`;
  await writePieces(unfinished, encodeCpio(entries), 'w');
  await rename(unfinished, archive);
  return archive;
}

async function fileEntry(file: GuestFile): Promise<CpioEntry> {
  const contents = file.from === undefined ? Buffer.from(file.contents ?? '') : await readFile(file.from);
  return { kind: 'file', path: file.path, contents, mode: file.mode ?? 0o644 };
}

/** The small archive, for one boot. */
async function ownEntries(
  files: readonly GuestFile[],
  bundle: string | undefined,
  cacheDir: string,
): Promise<readonly CpioEntry[]> {
  const directories = ['/proc', '/sys', '/dev', '/run', '/etc', '/opt/ksplice', '/lib/modules', '/var/lib'];
  const own: GuestFile[] = [
    { path: '/init', from: guestSource('init.sh'), mode: 0o755 },
    { path: '/sbin/agent', from: await compileGuest('agent', cacheDir), mode: 0o755 },
    { path: '/etc/passwd', contents: PASSWD },
    { path: '/etc/group', contents: GROUP },
    ...(bundle === undefined
      ? []
      : [
          { path: '/bin/ksplice', contents: KSPLICE_WRAPPER, mode: 0o755 },
          ...(await bundleFiles(bundle)).map(({ name, path: from }) => ({
            path: `/opt/ksplice/${name}`,
            from,
          })),
        ]),
    ...files,
  ];
  return [
    ...directories.map((path): CpioEntry => ({ kind: 'directory', path })),
    { kind: 'directory', path: '/root', mode: 0o700 },
    { kind: 'directory', path: '/tmp', mode: 0o1777 },
    { kind: 'directory', path: '/run/vm', mode: 0o1777 },
    { kind: 'directory', path: '/home/user', mode: 0o755, uid: 1000 },
    { kind: 'device', path: '/dev/console', major: 5, minor: 1 },
    ...(await Promise.all(own.map(fileEntry))),
  ];
}

/** Writes the whole initramfs to `path`. */
export async function writeInitramfs(
  path: string,
  files: readonly GuestFile[],
  bundle: string | undefined,
  cacheDir: string,
): Promise<void> {
  const [base, entries] = await Promise.all([baseArchive(cacheDir), ownEntries(files, bundle, cacheDir)]);
  try {
    // A clone where the file system can: then the 100 MB are not copied at all.
    await copyFile(base, path, constants.COPYFILE_FICLONE);
    await writePieces(path, encodeCpio(entries), 'a');
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
