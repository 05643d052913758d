/**
 * How a signature is attached to a module, as the kernel looks for it from the end of the file
 * (include/linux/module_signature.h, kernel/module_signature.c):
 *
 *     the module    the signature, PKCS #7 in DER    struct module_signature    "~Module signature appended~\n"
 *
 * struct module_signature { u8 algo, hash, id_type, signer_len, key_id_len, __pad[3]; __be32 sig_len; }: with id_type
 * PKEY_ID_PKCS7 everything but the length is 0, since the PKCS #7 message says it all.
 */

/** What CONFIG_MODULE_SIG_HASH can be, and a kernel of today has. */
export const SIGNATURE_HASHES = ['sha256', 'sha384', 'sha512'] as const;
export type SignatureHash = (typeof SIGNATURE_HASHES)[number];

const MAGIC = Buffer.from('~Module signature appended~\n', 'latin1');
const STRUCT_SIZE = 12;
const ID_TYPE = 2;
const PKEY_ID_PKCS7 = 2;
const SIG_LEN = 8;

export interface SignedModule {
  readonly module: Uint8Array;
  /** PKCS #7, DER. */
  readonly signature: Uint8Array;
}

export function appendSignature({ module, signature }: SignedModule): Uint8Array {
  const information = Buffer.alloc(STRUCT_SIZE);
  information[ID_TYPE] = PKEY_ID_PKCS7;
  information.writeUInt32BE(signature.length, SIG_LEN);
  return Buffer.concat([module, signature, information, MAGIC]);
}
