/**
 * What signs updates: a private key from its file, and the serial.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { RefusedError, UsageError } from '../diagnostics/error.ts';
import { type SignedUpdate, signUpdate } from '../update/sign-update.ts';
import { MAX_KEY_FILE, parsePrivateKey } from '../update/signing-keys.ts';
import type { Host } from './host.ts';

export interface SignerFlags {
  /** Path of the private key. */
  readonly key?: string | undefined;
  readonly serial?: number | undefined;
  readonly 'passphrase-file'?: string | undefined;
}

export interface Signer {
  readonly sign: (bytes: Uint8Array, file: string) => Promise<SignedUpdate>;
}

function unreadable(file: string, cause: unknown): UsageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new UsageError('usage', `cannot read ${file}: ${reason}`, {
    hint: 'give the path of a file',
    cause,
  });
}

/** The first line of the file. Throws UsageError. */
export function readPassphrase(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const [line = ''] = readSmallFile(file).split(/\r?\n/, 1);
  if (line === '') {
    throw new UsageError('usage', `${file}: its first line is empty, and should be the passphrase`, {
      hint: 'leave --passphrase-file out for a key without one',
    });
  }
  return line;
}

/** A small file. Throws UsageError. */
export function readSmallBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** The text of a small file. Throws UsageError. */
export function readSmallFile(file: string): string {
  return readSmallBytes(file).toString('utf8');
}

/** A private key is nobody else's. Throws RefusedError if others may read it, UsageError. */
export function readPrivateKeyText(file: string): string {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY);
  } catch (cause) {
    throw unreadable(file, cause);
  }
  try {
    const status = fstatSync(fd);
    // A pipe from what keeps the key has no mode that says anything.
    if (status.isFile() && (status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      throw new RefusedError(
        'unsafe_file',
        `${file}: a private key that others than its owner may use (mode ${mode})`,
        {
          hint: `chmod 600 ${file}; and if somebody else may have read it, make another key and revoke this one`,
        },
      );
    }
    const text = readFileSync(fd, 'utf8');
    return text.slice(0, MAX_KEY_FILE);
  } finally {
    closeSync(fd);
  }
}

/** SOURCE_DATE_EPOCH, where set, is the time of everything that is made (reproducible-builds.org). */
function timeSerial({ env }: Host): number {
  const fixed = env['SOURCE_DATE_EPOCH'];
  if (fixed === undefined || fixed === '') return Math.floor(Date.now() / 1000);
  if (!/^[1-9][0-9]{0,14}$/.test(fixed)) {
    throw new UsageError('usage', `SOURCE_DATE_EPOCH=${fixed}: expected seconds since 1970`, {
      hint: 'unset it, or give --serial',
    });
  }
  return Number(fixed);
}

/** Undefined where there is no key to sign with. Throws UsageError, RefusedError, FormatError. */
export function readSigner(host: Host, flags: SignerFlags): Signer | undefined {
  const { key: file, 'passphrase-file': passphraseFile } = flags;
  if (file === undefined) {
    const [lonely] = (['serial', 'passphrase-file'] as const).filter((name) => flags[name] !== undefined);
    if (lonely === undefined) return undefined;
    throw new UsageError('usage', `--${lonely} goes with a key to sign with`, {
      hint: 'give --sign KEYFILE',
    });
  }
  const serial = flags.serial ?? timeSerial(host);
  const key = parsePrivateKey(readPrivateKeyText(file), file, readPassphrase(passphraseFile));
  return { sign: async (bytes, name) => await signUpdate(bytes, name, key, serial) };
}
