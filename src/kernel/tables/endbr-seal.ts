import type { SpecialTable } from './special-table.ts';

/**
 * s32, relative to itself: an `endbr64` that nothing reaches indirectly; a kernel with IBT writes a
 * poison nop over it. Absent where CONFIG_X86_KERNEL_IBT is off.
 */
export const endbrSeal: SpecialTable = {
  section: '.ibt_endbr_seal',
  prefix: false,
  entrySize: 4,
  fields: [{ name: 'addr', offset: 0, length: 4, meaning: 'owner' }],
  extraction: 'drop',
  onChange: 'ignore',
  why: 'the trampoline reaches the replacement by a direct jump, but hooks and pointers may not',
};
