import type { SpecialTable } from './special-table.ts';

/**
 * Places of lock prefixes (LOCK_PREFIX_HERE, arch/x86/include/asm/alternative.h): s32, relative to itself.
 * A kernel that booted with one CPU turns 0xf0 into 0x3e there, and back when a second CPU appears.
 * The module loader heeds only places inside the section that is called `.text`.
 */
export const smpLocks: SpecialTable = {
  section: '.smp_locks',
  prefix: false,
  entrySize: 4,
  fields: [{ name: 'ptr', offset: 0, length: 4, meaning: 'owner' }],
  extraction: 'keep',
  onChange: 'function',
  why: 'a machine with one CPU removes the lock prefixes of a module, too',
};
