import type { SpecialTable } from './special-table.ts';

/**
 * s32, relative to itself: first address for which the entry of the same number in `.orc_unwind` holds.
 * objtool ends each text section with a terminator at section size; it belongs to that section.
 */
export const orcUnwindIp: SpecialTable = {
  section: '.orc_unwind_ip',
  prefix: false,
  entrySize: 4,
  fields: [{ name: 'ip', offset: 0, length: 4, meaning: 'owner' }],
  extraction: 'keep',
  onChange: 'ignore',
  why: 'stacks that run through the replacement code must be unwound reliably',
};

/** `struct orc_entry` (arch/x86/include/asm/orc_types.h), 6 bytes; owned through `.orc_unwind_ip`. */
export const orcUnwind: SpecialTable = {
  section: '.orc_unwind',
  prefix: false,
  entrySize: 6,
  fields: [
    { name: 'sp_offset', offset: 0, length: 2, meaning: 'value' },
    { name: 'bp_offset', offset: 2, length: 2, meaning: 'value' },
    { name: 'registers', offset: 4, length: 2, meaning: 'value' },
  ],
  extraction: 'with-entry',
  onChange: 'ignore',
  why: 'each entry goes with the entry of .orc_unwind_ip that has its number',
};
