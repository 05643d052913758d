/**
 * Files that decide whom the machine believes: they count only if nobody but root can have written them.
 *
 * So every directory on the way is looked at, too: who can write to /etc/ksplice can put another policy in the place of
 * a good one. A symbolic link anywhere on the way is refused, rather than followed and judged. As each directory can be
 * changed by root only, what was looked at is still what is opened then.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
} from 'node:fs';
import path from 'node:path';
import { FormatError, MissingError, RefusedError } from '../../diagnostics/error.ts';

const OTHERS_MAY_WRITE = 0o022;

function unsafe(file: string, found: string, hint: string): RefusedError {
  return new RefusedError('unsafe_file', `${file}: ${found}, so it cannot be relied on`, { hint });
}

/** Throws RefusedError `unsafe_file` if somebody else than root may have changed it. */
function checkOwner(file: string, status: Stats): void {
  if (status.isSymbolicLink()) {
    throw unsafe(file, 'a symbolic link', `put the file or directory itself at ${file}, or bind-mount it`);
  }
  if (status.uid !== 0) {
    throw unsafe(
      file,
      `belongs to user ${status.uid}`,
      `chown root:root ${file}, after a look at what is in it`,
    );
  }
  if ((status.mode & OTHERS_MAY_WRITE) !== 0) {
    const mode = (status.mode & 0o7777).toString(8).padStart(4, '0');
    throw unsafe(
      file,
      `can be written by others than root (mode ${mode})`,
      `chmod go-w ${file}, after a look at what is in it`,
    );
  }
}

/** Is the error of a file system call that of a path which does not exist? */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** What a person may do about an error of the file system; the error itself where that is nothing special. */
function explain(error: unknown, file: string): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'EACCES')) return error;
  return new MissingError('not_root', `${file}: only root can read it`, { hint: 'try sudo', cause: error });
}

/** Is there anything of this name, be it a link that leads nowhere? */
export function existsNow(file: string): boolean {
  try {
    lstatSync(file);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw explain(error, file);
  }
}

/** Looks at every directory from `root` down to `directory`. Returns whether they exist. */
export function checkTrustedDirectory(root: string, directory: string): boolean {
  const below = path.relative(root, directory).split('/').filter(Boolean);
  let at = root;
  for (const part of ['', ...below]) {
    at = path.join(at, part);
    let status: Stats;
    try {
      status = lstatSync(at);
    } catch (error) {
      if (isMissing(error)) return false;
      throw explain(error, at);
    }
    checkOwner(at, status);
    if (!status.isDirectory()) throw unsafe(at, 'no directory', `remove it: ${at} has to be a directory`);
  }
  return true;
}

/**
 * The text of a file below `root` that only root can have written; undefined if there is none. Throws RefusedError
 * `unsafe_file`, FormatError `malformed_policy` if it has more than `limit` bytes.
 */
export function readTrustedFile(root: string, file: string, limit: number): string | undefined {
  if (!checkTrustedDirectory(root, path.dirname(file))) return undefined;
  let fd: number;
  try {
    checkOwner(file, lstatSync(file));
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw explain(error, file);
  }
  try {
    const status = fstatSync(fd);
    checkOwner(file, status);
    if (!status.isFile()) throw unsafe(file, 'no regular file', 'put a file in its place');
    if (status.size > limit) {
      throw new FormatError(
        'malformed_policy',
        `${file}: found ${status.size} bytes, expected at most ${limit}`,
        {
          hint: 'something else was copied there: put the right file in its place',
        },
      );
    }
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** Names in a directory that only root can have written, sorted; none if it does not exist. */
export function listTrustedDirectory(root: string, directory: string): readonly string[] {
  if (!checkTrustedDirectory(root, directory)) return [];
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw explain(error, directory);
  }
}
