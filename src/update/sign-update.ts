import type { KeyObject } from 'node:crypto';
import { SIGNATURE_MEMBER } from './member-names.ts';
import { readUpdate } from './read-update.ts';
import { encodeSignature, type SignatureStatement, signStatement } from './signature.ts';
import { publicHalf } from './signing-keys.ts';
import { packMembers, readMembers } from './tar-members.ts';

export interface SignedUpdate {
  readonly bytes: Uint8Array;
  readonly statement: SignatureStatement;
}

/**
 * The update file with a signature behind its members, in place of one that it may have had. All else stays as it is, so
 * the same file, key and serial give the same bytes. Throws FormatError when `bytes` is no update: what is signed is
 * what was read.
 */
export async function signUpdate(
  bytes: Uint8Array,
  file: string,
  key: KeyObject,
  serial: number,
): Promise<SignedUpdate> {
  const { id, kernel, digest } = readUpdate(bytes, file);
  const statement = { id, kernel: kernel.release, manifest: digest, serial, key: publicHalf(key).id };
  const members = readMembers(bytes, file).filter(({ name }) => name !== SIGNATURE_MEMBER);
  const signature = encodeSignature(signStatement(statement, key));
  return {
    bytes: await packMembers([...members, { name: SIGNATURE_MEMBER, bytes: signature }]),
    statement,
  };
}
