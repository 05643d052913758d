/**
 * The signature of an update: who stands for it, as the last member of its file.
 *
 *     ksplice-signature 1
 *     id cve_2026_53249
 *     kernel 6.1.0-47-cloud-amd64
 *     manifest 3f5a...            SHA-256 of manifest.json, which has those of all other members
 *     serial 1764230400           rises with every update that is signed; what a machine must not go back behind
 *     key 91c2...                 SHA-256 of the public key (SubjectPublicKeyInfo, DER)
 *     ed25519 base64              over all bytes above this line, its newline included
 *
 * What is signed is text that a person can read, and begins with a line of its own, so that no signature of anything else
 * can be taken for one. It lies outside of the manifest: the same inputs give the same manifest, whoever signs it
 * and when, and the digest of the manifest goes on naming the update (docs/adr/0009).
 *
 * There is one way to write it, and only that is read. Ed25519: RFC 8032; the same statement and key give the same bytes.
 */
import type { KeyObject } from 'node:crypto';
import { crypto } from './crypto.ts';
import { LIMITS } from './limits.ts';
import { malformedUpdate, quoted } from './malformed.ts';
import { SIGNATURE_MEMBER } from './member-names.ts';

export interface SignatureStatement {
  readonly id: string;
  /** `uname -r` of the kernel that the update is for. */
  readonly kernel: string;
  /** SHA-256 of manifest.json, hexadecimal. */
  readonly manifest: string;
  /** 1 to LIMITS.serial; of two updates with one ID for one kernel, the later one has the higher number. */
  readonly serial: number;
  /** SHA-256 of the public key, hexadecimal: which one to verify with. */
  readonly key: string;
}

export interface UpdateSignature {
  readonly statement: SignatureStatement;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

const FORM =
  /^ksplice-signature 1\nid ([a-z0-9_]{1,32})\nkernel ([^\n]{1,64})\nmanifest ([0-9a-f]{64})\nserial ([1-9][0-9]{0,14})\nkey ([0-9a-f]{64})\ned25519 ([A-Za-z0-9+/]{86}==)\n$/;

/** The bytes that are signed. */
function statementBytes({ id, kernel, manifest, serial, key }: SignatureStatement): Buffer {
  return Buffer.from(
    `ksplice-signature 1\nid ${id}\nkernel ${kernel}\nmanifest ${manifest}\nserial ${serial}\nkey ${key}\n`,
  );
}

/** The bytes of the member. */
export function encodeSignature({ statement, signature }: UpdateSignature): Uint8Array {
  const last = Buffer.from(`ed25519 ${Buffer.from(signature).toString('base64')}\n`);
  return Buffer.concat([statementBytes(statement), last]);
}

/** Reads the member. Throws FormatError for everything that `encodeSignature` would not have written. */
export function parseSignature(bytes: Uint8Array, file: string): UpdateSignature {
  const text = Buffer.from(bytes.subarray(0, LIMITS.signature)).toString('utf8');
  const [, id = '', kernel = '', manifest = '', serial = '', key = '', base64 = ''] = FORM.exec(text) ?? [];
  const signature: UpdateSignature = {
    statement: { id, kernel, manifest, serial: Number(serial), key },
    signature: Buffer.from(base64, 'base64'),
  };
  if (id === '' || Buffer.compare(encodeSignature(signature), bytes) !== 0) {
    throw malformedUpdate(
      file,
      SIGNATURE_MEMBER,
      quoted(text),
      'the seven lines of a signature, in their one spelling',
    );
  }
  return signature;
}

/** Signs. `key` is a private Ed25519 key, `statement.key` the name of its public one. */
export function signStatement(statement: SignatureStatement, key: KeyObject): UpdateSignature {
  return { statement, signature: crypto().sign(null, statementBytes(statement), key) };
}

/** Did the owner of this public Ed25519 key sign it? */
export function isSignedBy({ statement, signature }: UpdateSignature, key: KeyObject): boolean {
  return crypto().verify(null, statementBytes(statement), key, signature);
}
