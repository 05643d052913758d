/**
 * A binary package of Debian from a list of files, by Debian's own dpkg-deb. The same input gives the same bytes: all times are one, everything
 * belongs to root, and dpkg-deb sorts.
 */
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { run } from '../process/run.ts';

/** A file of the package: its contents, or a file of this machine. */
export interface PackageFile {
  /** Relative to the root, as `usr/bin/ksplice`. */
  readonly path: string;
  readonly contents?: Uint8Array | string;
  readonly from?: string;
  /** 0644 unless told. */
  readonly mode?: number;
}

export interface DebianPackage {
  /** Fields of DEBIAN/control in their order; a value may have further lines, each with a space before it. */
  readonly control: Readonly<Record<string, string>>;
  readonly files: readonly PackageFile[];
  /** Empty directories with their modes. */
  readonly directories?: readonly { readonly path: string; readonly mode: number }[];
  /** `postinst`, `prerm`, ... with their texts. */
  readonly scripts: Readonly<Record<string, string>>;
  /** Seconds since 1970, for every file. */
  readonly time: number;
  /** xz is what Debian uses; smaller is slower: 0 to 9. */
  readonly compression: number;
}

/** Reproducible: without a name or a time in it. */
export function gzipped(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

async function place(root: string, file: PackageFile): Promise<void> {
  const target = path.join(root, file.path);
  await mkdir(path.dirname(target), { recursive: true });
  if (file.from === undefined) await writeFile(target, file.contents ?? '');
  else await copyFile(file.from, target);
  await chmod(target, file.mode ?? 0o644);
}

/** Installed-Size as dpkg-gencontrol counts it: KiB, each file rounded up, one for each directory. */
async function installedSize(root: string): Promise<number> {
  const { stdout } = await run(['find', root, '-mindepth', '1', '-printf', '%y %s\n']);
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, line) => {
      const [kind, size] = line.split(' ');
      return sum + (kind === 'f' ? Math.ceil(Number(size) / 1024) : 1);
    }, 0);
}

async function checksums(root: string, files: readonly PackageFile[]): Promise<string> {
  const lines: string[] = [];
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const hash = createHash('md5').update(await readFile(path.join(root, file.path)));
    lines.push(`${hash.digest('hex')}  ${file.path}\n`);
  }
  return lines.join('');
}

/** Writes the package to `output`, whole or not at all. Throws CommandError, MissingError where there is no dpkg-deb. */
export async function buildDeb(deb: DebianPackage, output: string): Promise<void> {
  const root = await mkdtemp(path.join(tmpdir(), 'ksplice-deb-'));
  try {
    const tree = path.join(root, 'tree');
    await mkdir(path.join(tree, 'DEBIAN'), { recursive: true, mode: 0o755 });
    for (const file of deb.files) await place(tree, file);
    for (const { path: name, mode } of deb.directories ?? []) {
      await mkdir(path.join(tree, name), { recursive: true });
      await chmod(path.join(tree, name), mode);
    }
    const control = Object.entries({ ...deb.control, 'Installed-Size': String(await installedSize(tree)) });
    const write = async (name: string, text: string, mode: number): Promise<void> => {
      await writeFile(path.join(tree, 'DEBIAN', name), text);
      await chmod(path.join(tree, 'DEBIAN', name), mode);
    };
    await write('md5sums', await checksums(tree, deb.files), 0o644);
    for (const [name, text] of Object.entries(deb.scripts)) await write(name, text, 0o755);
    await write('control', control.map(([name, value]) => `${name}: ${value}\n`).join(''), 0o644);
    // What mkdir makes depends on the umask.
    await run(['find', tree, '-type', 'd', '-not', '-perm', '0700', '-exec', 'chmod', '0755', '{}', '+']);
    const made = path.join(root, 'made.deb');
    await run(
      [
        'dpkg-deb',
        '--root-owner-group',
        '-Zxz',
        `-z${deb.compression}`,
        '--threads-max=1',
        '--build',
        tree,
        made,
      ],
      { env: { SOURCE_DATE_EPOCH: String(deb.time) } },
    );
    const beside = `${output}.${process.pid}.tmp`;
    await copyFile(made, beside);
    await rename(beside, output);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
