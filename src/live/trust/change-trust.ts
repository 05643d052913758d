/**
 * Changes of whom the machine believes. Each is one file that is there whole or not at all.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MissingError, RefusedError, UsageError } from '../../diagnostics/error.ts';
import { encodePublicKey, type PublicKey, shortKeyId } from '../../update/signing-keys.ts';
import { KEY_NAME, readKeys, readRevoked, type TrustedKey, type TrustPaths } from './trust.ts';
import { checkTrustedDirectory } from './trusted-file.ts';

/** For everybody to read, root to write, whatever the umask; 0755 for directories. */
const PUBLIC_FILE = 0o644;

/** Throws MissingError if the file system does not let us. */
function replaceFile(paths: TrustPaths, file: string, text: string): void {
  const next = `${file}.new`;
  try {
    for (const directory of [paths.directory, path.dirname(file)]) {
      mkdirSync(directory, { recursive: true, mode: 0o755 });
      checkTrustedDirectory(paths.root, directory);
    }
    rmSync(next, { force: true });
    writeFileSync(next, text, { mode: PUBLIC_FILE, flag: 'wx', flush: true });
    renameSync(next, file);
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new MissingError('missing_tool', `${file}: cannot be written (${cause.message})`, {
      hint: 'make the file system writable, or have who manages this machine put the file there',
      cause,
    });
  }
}

/** Has the machine believe a key. Trusting it again is no error. Returns the name that it has here. */
export function trustKey(paths: TrustPaths, name: string, key: PublicKey): string {
  if (!KEY_NAME.test(name)) {
    throw new UsageError(
      'usage',
      `${JSON.stringify(name)}: expected a name of letters, digits, '.', '_' and '-', at most 64`,
      { hint: 'give the key another name here: --name NAME' },
    );
  }
  if (readRevoked(paths).has(key.id)) {
    throw new RefusedError(
      'revoked_key',
      `${name}: the key ${shortKeyId(key.id)} was revoked on this machine`,
      {
        hint: `if that was an error, take its line out of ${paths.revoked} first`,
      },
    );
  }
  const keys = readKeys(paths);
  const same = keys.find(({ id }) => id === key.id);
  if (same !== undefined) return same.name;
  const other = keys.find((each) => each.name === name);
  if (other !== undefined) {
    throw new UsageError('usage', `${name}: the name of another key here, ${shortKeyId(other.id)}`, {
      hint: `give this one another name (--name NAME), or revoke that one first (ksplice key revoke ${name})`,
    });
  }
  replaceFile(paths, path.join(paths.keys, `${name}.pem`), encodePublicKey(key));
  return name;
}

/** By name, by the digits that `key list` shows, or by all 64, which it need not have been trusted for. */
function findKey(keys: readonly TrustedKey[], wanted: string): string | undefined {
  const found = keys.find(({ id, name }) => name === wanted || id === wanted || shortKeyId(id) === wanted);
  return found?.id ?? (/^[0-9a-f]{64}$/.test(wanted) ? wanted : undefined);
}

/** Has the machine never believe a key again. Returns its SHA-256. Throws UsageError for one that is not known. */
export function revokeKey(paths: TrustPaths, wanted: string): string {
  const keys = readKeys(paths);
  const id = findKey(keys, wanted);
  if (id === undefined) {
    throw new UsageError('usage', `${wanted}: no key of this name or number is trusted here`, {
      hint: '`ksplice key list` has those that are; one that is not is revoked by the 64 digits of its SHA-256',
    });
  }
  // First the list: it counts, whatever lies beside it.
  const revoked = new Set(readRevoked(paths)).add(id);
  const head = '# Keys that this machine believes no more: SHA-256 of the public key, one a line.\n';
  replaceFile(paths, paths.revoked, `${head}${[...revoked].sort().join('\n')}\n`);
  for (const { name } of keys.filter((key) => key.id === id)) {
    rmSync(path.join(paths.keys, `${name}.pem`), { force: true });
  }
  return id;
}
