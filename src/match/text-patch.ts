import type { Address } from '../kernel/address.ts';

/**
 * Bytes of the kernel's text that something has replaced which its tables do not tell of: a kprobe's breakpoint,
 * the jump of an update that is applied. What was there before is not in memory any more, so these bytes are left out of
 * the comparison, once they are seen to be what their owner writes.
 */
export interface TextPatch {
  readonly at: Address;
  readonly size: number;
  /** A livepatch has no bytes of its own: it has ftrace call it, at the function's entry. */
  readonly kind: 'kprobe' | 'update' | 'livepatch';
  /** For people: `the kprobe at vfs_read+0x10`. */
  readonly owner: string;
  /** Whether these are the bytes that the owner writes there. */
  readonly isLegal: (bytes: Uint8Array) => boolean;
}

/** Asked for anew whenever memory is read again: probes come and go. */
export type TextPatches = () => readonly TextPatch[];

export const noPatches: TextPatches = () => [];
