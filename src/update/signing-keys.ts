/**
 * Keys that sign updates: Ed25519, in the files that every tool reads, so that a team can make and keep them with what
 * it has. Private: PKCS #8 in PEM, encrypted or not (`openssl genpkey -algorithm ed25519`). Public: SubjectPublicKeyInfo
 * in PEM (`openssl pkey -pubout`). RFC 8410.
 *
 * A key is named by the SHA-256 of its public half in DER. People are shown the first 16 digits.
 */
import type { KeyObject } from 'node:crypto';
import { FormatError, UsageError } from '../diagnostics/error.ts';
import { crypto } from './crypto.ts';
import { sha256 } from './sha256.ts';

/** A public key, and its name. */
export interface PublicKey {
  /** SHA-256 of the SubjectPublicKeyInfo, hexadecimal. */
  readonly id: string;
  readonly key: KeyObject;
}

/** Bytes of a key file; one of Ed25519 has about 120, encrypted 300. */
export const MAX_KEY_FILE = 4096;

const PUBLIC = /^-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END PUBLIC KEY-----\s*$/;

/** `91c2a3f004b7d1e8`: enough to tell keys apart for a person. */
export function shortKeyId(id: string): string {
  return id.slice(0, 16);
}

function malformedKey(file: string, found: string, hint: string, cause?: unknown): FormatError {
  return new FormatError('malformed_key', `${file}: found ${found}, expected an Ed25519 key in PEM`, {
    hint,
    cause,
  });
}

function checkEd25519(key: KeyObject, file: string): void {
  if (key.asymmetricKeyType === 'ed25519') return;
  throw malformedKey(
    file,
    `a key of type ${key.asymmetricKeyType}`,
    'make one with `ksplice key generate FILE`',
  );
}

/** The public half of a private key, or the key itself. */
export function publicHalf(key: KeyObject): PublicKey {
  const half = key.type === 'private' ? crypto().createPublicKey(key) : key;
  return { id: sha256(half.export({ type: 'spki', format: 'der' })), key: half };
}

/** PEM of a public key. */
export function encodePublicKey({ key }: PublicKey): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

/** Reads a public key: one PEM block and nothing else. Throws FormatError `malformed_key`. */
export function parsePublicKey(text: string, file: string): PublicKey {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw malformedKey(
      file,
      'a private key',
      'it must not lie here: keep it where updates are signed; `ksplice key public FILE` prints the public half',
    );
  }
  if (text.length > MAX_KEY_FILE || !PUBLIC.test(text)) {
    throw malformedKey(file, 'no PEM block "PUBLIC KEY" alone', '`ksplice key public FILE` prints one');
  }
  let key: KeyObject;
  try {
    key = crypto().createPublicKey(text);
  } catch (cause) {
    throw malformedKey(file, 'a block that is no key', 'get the file again', cause);
  }
  checkEd25519(key, file);
  return publicHalf(key);
}

/**
 * Reads a private key. Throws FormatError `malformed_key`; UsageError if it is encrypted and the passphrase is
 * missing or wrong.
 */
export function parsePrivateKey(text: string, file: string, passphrase?: string): KeyObject {
  const isEncrypted = text.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----');
  if (!isEncrypted && !text.includes('-----BEGIN PRIVATE KEY-----')) {
    throw malformedKey(
      file,
      'no PEM block "PRIVATE KEY"',
      text.includes('-----BEGIN PUBLIC KEY-----')
        ? 'this is the public half; signing takes the private one'
        : 'make one with `ksplice key generate FILE`',
    );
  }
  if (isEncrypted && passphrase === undefined) {
    throw new UsageError('usage', `${file}: the key is encrypted, and no passphrase was given`, {
      hint: 'give --passphrase-file FILE; /dev/stdin reads it from standard input',
    });
  }
  let key: KeyObject;
  try {
    key = crypto().createPrivateKey({ key: text, format: 'pem', ...(isEncrypted ? { passphrase } : {}) });
  } catch (cause) {
    if (isEncrypted) {
      throw new UsageError('usage', `${file}: the key cannot be decrypted with this passphrase`, {
        hint: 'the passphrase is the first line of the file of --passphrase-file',
        cause,
      });
    }
    throw malformedKey(file, 'a block that is no key', 'restore the file from its backup', cause);
  }
  checkEd25519(key, file);
  return key;
}

/** A new key pair, as the texts of its two files. */
export function generateKeys(passphrase?: string): { readonly private: string; readonly public: string } {
  const { privateKey, publicKey } = crypto().generateKeyPairSync('ed25519');
  const encrypted = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return {
    private: privateKey.export({ type: 'pkcs8', format: 'pem', ...encrypted }).toString(),
    public: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}
