/**
 * Writes cpio archives in the `newc` form, the only one that the kernel unpacks as an initramfs.
 *
 * An entry is a header of 110 ASCII characters (magic `070701`, then thirteen numbers of eight hexadecimal
 * digits each), the name with its NUL, and the contents; header plus name, and contents, are each padded to a
 * multiple of four. An entry named `TRAILER!!!` ends the archive. The kernel accepts several archives one
 * after the other, later files replacing earlier ones, as long as each starts at a multiple of four.
 * Reference: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's source.
 */
import { FormatError } from '../../../src/diagnostics/error.ts';

/** One thing in the archive. `path` is absolute in the guest; `mode` holds permission bits only. */
export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number; readonly uid?: number }
  | { readonly kind: 'file'; readonly path: string; readonly contents: Uint8Array; readonly mode?: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'device';
      readonly path: string;
      readonly mode?: number;
      readonly major: number;
      readonly minor: number;
    };

const FILE_TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000, device: 0o020000 } as const;
const DEFAULT_MODE = { directory: 0o755, file: 0o644, symlink: 0o777, device: 0o600 } as const;

function paddingTo4(size: number): Uint8Array {
  return new Uint8Array((4 - (size % 4)) % 4);
}

function header(
  inode: number,
  mode: number,
  uid: number,
  size: number,
  device: readonly [number, number],
  nameSize: number,
): string {
  const links = 1;
  const mtime = 0;
  const fields = [inode, mode, uid, uid, links, mtime, size, 0, 0, device[0], device[1], nameSize, 0];
  return `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
}

function pieces(entry: CpioEntry, inode: number): Uint8Array[] {
  if (!entry.path.startsWith('/') || entry.path.split('/').includes('..')) {
    throw new FormatError('usage', `initramfs: ${entry.path}: expected an absolute path without ..`);
  }
  const name = Buffer.from(`${entry.path.slice(1)}\0`);
  const contents =
    entry.kind === 'file'
      ? entry.contents
      : entry.kind === 'symlink'
        ? Buffer.from(entry.target)
        : new Uint8Array();
  if (contents.length > 0xffffffff) {
    throw new FormatError('usage', `initramfs: ${entry.path}: ${contents.length} bytes do not fit into cpio`);
  }
  const permissions = 'mode' in entry && entry.mode !== undefined ? entry.mode : DEFAULT_MODE[entry.kind];
  const uid = 'uid' in entry && entry.uid !== undefined ? entry.uid : 0;
  const device = entry.kind === 'device' ? ([entry.major, entry.minor] as const) : ([0, 0] as const);
  const head = Buffer.concat([
    Buffer.from(
      header(inode, FILE_TYPE[entry.kind] | permissions, uid, contents.length, device, name.length),
    ),
    name,
  ]);
  return [head, paddingTo4(head.length), contents, paddingTo4(contents.length)];
}

/** Every directory that the entries' paths need and that is not an entry itself. */
function missingParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const known = new Set(entries.map((entry) => entry.path));
  const parents: CpioEntry[] = [];
  for (const entry of entries) {
    const parts = entry.path.split('/').slice(1, -1);
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const path = `/${parts.slice(0, depth).join('/')}`;
      if (!known.has(path)) {
        known.add(path);
        parents.push({ kind: 'directory', path });
      }
    }
  }
  return parents;
}

/**
 * The archive as pieces to be written one after the other, so that large files are not copied.
 * Missing parent directories are added, mode 0755, owned by root. Archives laid one after the other by the
 * caller must each have the same directories' modes, or the last one wins.
 */
export function encodeCpio(entries: readonly CpioEntry[]): readonly Uint8Array[] {
  const directories = entries.filter((entry) => entry.kind === 'directory');
  const others = entries.filter((entry) => entry.kind !== 'directory');
  const ordered = [...missingParents(entries), ...directories, ...others].sort((a, b) =>
    a.kind === 'directory' && b.kind === 'directory' ? a.path.length - b.path.length : 0,
  );
  const all = ordered.flatMap((entry, index) => pieces(entry, index + 1));
  const trailer = Buffer.concat([Buffer.from(header(0, 0, 0, 0, [0, 0], 11)), Buffer.from('TRAILER!!!\0')]);
  return [...all, trailer, paddingTo4(trailer.length)];
}
