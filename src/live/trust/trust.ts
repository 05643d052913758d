/**
 * Whom this machine believes:
 *
 *     /etc/ksplice/policy            what is asked of a signature; see policy.ts
 *     /etc/ksplice/keys.d/NAME.pem   public keys of those who may sign
 *     /etc/ksplice/revoked           keys that count no more, by SHA-256, one a line, whatever lies in keys.d
 *
 * Without a policy, `warn` holds where a key is trusted, and `off` where none is: a machine where nothing was set up has
 * nothing to compare with, and says nothing.
 */
import path from 'node:path';
import { FormatError } from '../../diagnostics/error.ts';
import { quoted } from '../../update/malformed.ts';
import { MAX_KEY_FILE, type PublicKey, parsePublicKey } from '../../update/signing-keys.ts';
import { parsePolicy, type SignatureMode } from './policy.ts';
import { existsNow, listTrustedDirectory, readTrustedFile } from './trusted-file.ts';

export interface TrustedKey extends PublicKey {
  /** Of its file, without .pem. */
  readonly name: string;
}

export interface Trust {
  readonly mode: SignatureMode;
  /** Whether the policy file says so. */
  readonly hasPolicy: boolean;
  /** Sorted by name, without those that are revoked. */
  readonly keys: readonly TrustedKey[];
  /** SHA-256 of public keys. */
  readonly revoked: ReadonlySet<string>;
}

/** Where the files lie; `root` is another directory than / in tests. */
export interface TrustPaths {
  readonly root: string;
  readonly directory: string;
  readonly policy: string;
  readonly keys: string;
  readonly revoked: string;
}

const MAX_POLICY = 16 * 1024;
const MAX_REVOKED = 1024 * 1024;
/** Names of key files, without .pem. */
export const KEY_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function trustPaths(root = '/'): TrustPaths {
  const directory = path.join(root, 'etc', 'ksplice');
  const within = (name: string): string => path.join(directory, name);
  return {
    root,
    directory,
    policy: within('policy'),
    keys: within('keys.d'),
    revoked: within('revoked'),
  };
}

/** One SHA-256 a line; comments begin with #. */
export function parseRevoked(text: string, file: string): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const word = line.replace(/#.*/, '').trim();
    if (word === '') continue;
    if (!/^[0-9a-f]{64}$/.test(word)) {
      throw new FormatError(
        'malformed_policy',
        `${file}:${index + 1}: found ${quoted(line)}, expected the SHA-256 of a key, 64 hexadecimal digits`,
        {
          hint: '`ksplice key revoke KEY` writes this file; `ksplice key list --json` has the whole numbers',
        },
      );
    }
    ids.add(word);
  }
  return ids;
}

/** All of keys.d, sorted by name. */
export function readKeys({ root, keys }: TrustPaths): readonly TrustedKey[] {
  return listTrustedDirectory(root, keys)
    .filter((name) => name.endsWith('.pem') && KEY_NAME.test(name.slice(0, -'.pem'.length)))
    .flatMap((name) => {
      const file = path.join(keys, name);
      const text = readTrustedFile(root, file, MAX_KEY_FILE);
      return text === undefined
        ? []
        : [{ ...parsePublicKey(text, file), name: name.slice(0, -'.pem'.length) }];
    });
}

/** SHA-256 of the keys that are revoked. */
export function readRevoked({ root, revoked }: TrustPaths): ReadonlySet<string> {
  const text = readTrustedFile(root, revoked, MAX_REVOKED);
  return text === undefined ? new Set() : parseRevoked(text, revoked);
}

/** What the policy file says; undefined if there is none. */
export function readPolicy({ root, policy }: TrustPaths): SignatureMode | undefined {
  const text = readTrustedFile(root, policy, MAX_POLICY);
  return text === undefined ? undefined : parsePolicy(text, policy);
}

/**
 * Reads all three. Throws RefusedError `unsafe_file` where others than root may have written, FormatError
 * `malformed_policy` or `malformed_key` for what cannot be understood: half a policy is none.
 */
export function readTrust(paths: TrustPaths): Trust {
  // Nothing was set up: the machine's directories are none of our business.
  if (!existsNow(paths.directory)) return { mode: 'off', hasPolicy: false, keys: [], revoked: new Set() };
  const mode = readPolicy(paths);
  if (mode === 'off') return { mode, hasPolicy: true, keys: [], revoked: new Set() };
  const revoked = readRevoked(paths);
  const keys = readKeys(paths).filter(({ id }) => !revoked.has(id));
  const otherwise = keys.length === 0 && revoked.size === 0 ? 'off' : 'warn';
  return { mode: mode ?? otherwise, hasPolicy: mode !== undefined, keys, revoked };
}
