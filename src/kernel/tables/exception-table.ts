import type { SpecialTable } from './special-table.ts';

/**
 * `struct exception_table_entry` (arch/x86/include/asm/extable.h), 12 bytes:
 *
 *     0  s32 insn    the instruction that may fault, relative to this field
 *     4  s32 fixup   where to go on, relative to this field
 *     8  s32 data    handler type and its arguments (asm/extable_fixup_types.h)
 *
 * The module loader sorts the table itself, so the order of entries does not matter.
 */
export const exceptionTable: SpecialTable = {
  section: '__ex_table',
  prefix: false,
  entrySize: 12,
  fields: [
    { name: 'insn', offset: 0, length: 4, meaning: 'owner' },
    { name: 'fixup', offset: 4, length: 4, meaning: 'code' },
    { name: 'data', offset: 8, length: 4, meaning: 'value' },
  ],
  extraction: 'keep',
  onChange: 'function',
  why: 'a fault in the replacement code must find its fixup',
};
