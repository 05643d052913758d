/**
 * The name of an update: of its file, its directory under /sys/kernel/ksplice and its module.
 */
import { UsageError } from '../diagnostics/error.ts';
import { crypto } from './crypto.ts';

/** Names that /sys/kernel/ksplice uses itself. */
const TAKEN: ReadonlySet<string> = new Set(['control', 'interface']);

/** The module of an update. */
export function updateModule(id: string): string {
  return `ksplice_${id}`;
}

/** May an update have this name? */
export function isUpdateId(id: string): boolean {
  return /^[a-z0-9_]{1,32}$/.test(id) && !TAKEN.has(id);
}

/** Throws UsageError when an update may not have this name. */
export function checkUpdateId(id: string): void {
  if (TAKEN.has(id)) {
    throw new UsageError('usage', `id ${id}: this name is used by the core itself`, {
      hint: 'choose another one',
    });
  }
  if (!isUpdateId(id)) {
    throw new UsageError('usage', `id ${JSON.stringify(id)}: expected 1 to 32 of a-z, 0-9 and _`, {
      hint: 'leave --id out, and the name is derived from the contents',
    });
  }
}

/**
 * A name made from contents: a letter, then 11 hexadecimal digits of the SHA-256 over all parts. Each part is
 * counted with its length, so that moving a byte from one part to the next gives another name.
 */
export function deriveUpdateId(parts: readonly Uint8Array[]): string {
  const hash = crypto().createHash('sha256');
  for (const part of parts) {
    hash.update(`${part.length}:`).update(part);
  }
  const digest = hash.digest('hex');
  const letter = 'abcdefghijklmnop'.charAt(Number.parseInt(digest.charAt(0), 16));
  return `${letter}${digest.slice(1, 12)}`;
}
