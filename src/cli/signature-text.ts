import type { SignatureVerdict } from '../live/trust/judge.ts';
import { shortKeyId } from '../update/signing-keys.ts';

/** What a person reads of a signature; undefined where there is none and nobody asks for one. */
export function signatureText({ standing, signer, key, serial }: SignatureVerdict): string | undefined {
  if (key === null) return standing === 'not_checked' ? undefined : 'none';
  const by = `${signer === null ? 'key' : `${signer}, key`} ${shortKeyId(key)}, serial ${serial}`;
  switch (standing) {
    case 'trusted':
      return by;
    case 'not_checked':
      return `${by}; not verified here`;
    case 'revoked_key':
      return `${by}; this key was revoked`;
    case 'bad_signature':
      return `${by}; WRONG: that key has not signed this`;
    case 'older_update':
      return `${by}; a later one has been applied`;
    case 'unknown_key':
    case 'not_signed':
      return `${by}; this key is not trusted here`;
  }
}
