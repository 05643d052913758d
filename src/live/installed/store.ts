/**
 * Installed updates: those that the machine applies again when it boots the kernel that they were made for.
 *
 *     /var/lib/ksplice/installed/RELEASE-HASH/ID.ksplice
 *
 * One directory a kernel build, named for the release and for the first 16 digits of the SHA-256 of release and banner (`uname -v`): a
 * distributor builds several kernels under one release. The files are those that were given to `install`, byte for byte; there is no index
 * that could say something else than they do. Everything belongs to root alone, since it is applied without being asked for.
 */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { KspliceError, MissingError } from '../../diagnostics/error.ts';
import { identityDifference, type KernelIdentity } from '../../update/kernel-identity.ts';
import type { ManifestKernel } from '../../update/manifest.ts';
import { readUpdateFile } from '../../update/read-update.ts';
import { sha256 } from '../../update/sha256.ts';
import type { Update } from '../../update/update.ts';
import { isUpdateId } from '../../update/update-id.ts';
import { INSTALLED } from '../paths.ts';
import { checkTrustedDirectory, listTrustedDirectory } from '../trust/trusted-file.ts';
import { removeDurably, writeDurably } from './durable.ts';

const SUFFIX = '.ksplice';

/** An installed update, or what is wrong with its file. */
export interface StoredUpdate {
  readonly id: string;
  readonly file: string;
  readonly update: Update | undefined;
  readonly problem: KspliceError | undefined;
}

function directoryOf(root: string, { release, banner }: Pick<ManifestKernel, 'release' | 'banner'>): string {
  const hash = sha256(`${release}\0${banner ?? ''}`).slice(0, 16);
  const name = release.replaceAll(/[^A-Za-z0-9._+~-]/g, '_');
  return path.join(root, INSTALLED, `${name}-${hash}`);
}

/** Where the file of an update lies, or would lie. */
export function storedFile(root: string, { id, kernel }: Pick<Update, 'id' | 'kernel'>): string {
  return path.join(directoryOf(root, kernel), `${id}${SUFFIX}`);
}

/** Puts an update there, in the place of one of that ID. `bytes`: its file. On the disk when this returns. */
export function storeUpdate(root: string, update: Update, bytes: Uint8Array): void {
  writeDurably(root, storedFile(root, update), bytes);
}

export function removeStored({ file }: StoredUpdate): void {
  removeDurably(file);
  // Left where another update of that kernel is.
  if (readdirSync(path.dirname(file)).length === 0) rmdirSync(path.dirname(file));
}

function readStored(root: string, file: string): StoredUpdate {
  const id = path.basename(file, SUFFIX);
  try {
    checkTrustedDirectory(root, path.dirname(file));
    const update = readUpdateFile(file);
    if (update.id === id && storedFile(root, update) === file)
      return { id, file, update, problem: undefined };
    throw new MissingError(
      'update_not_installed',
      `${file}: holds ${update.id} for ${update.kernel.release}`,
      {
        hint: `it was not put there by ksplice install: remove it (rm ${file})`,
      },
    );
  } catch (error) {
    if (!(error instanceof KspliceError)) throw error;
    return { id, file, update: undefined, problem: error };
  }
}

/** All that are installed, for whatever kernel; by kernel, then by ID. Throws MissingError `not_root` for others than root. */
export function listStored(root: string): readonly StoredUpdate[] {
  const top = path.join(root, INSTALLED);
  if (!existsSync(path.join(root, INSTALLED, '..'))) return [];
  return listTrustedDirectory(root, top).flatMap((name) =>
    listTrustedDirectory(root, path.join(top, name))
      .filter((file) => file.endsWith(SUFFIX) && isUpdateId(file.slice(0, -SUFFIX.length)))
      .map((file) => readStored(root, path.join(top, name, file))),
  );
}

/** Is it for this kernel build? A file that cannot be read is for the build of its directory. */
export function isStoredFor(root: string, { file, update }: StoredUpdate, identity: KernelIdentity): boolean {
  if (update !== undefined) return identityDifference(update.kernel, identity, 'is running') === undefined;
  return path.dirname(file) === directoryOf(root, identity);
}
