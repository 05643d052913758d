import { crypto } from './crypto.ts';

/** SHA-256 as 64 lower-case hexadecimal digits; of text, its UTF-8. */
export function sha256(bytes: Uint8Array | string): string {
  return crypto().createHash('sha256').update(bytes).digest('hex');
}
