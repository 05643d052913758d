import type { SpecialTable } from './special-table.ts';

/**
 * `struct bug_entry` (include/asm-generic/bug.h) with relative pointers and verbose bugs, 12 bytes:
 *
 *     0  s32 bug_addr_disp   the ud2, relative to this field
 *     4  s32 file_disp       the file name, relative to this field
 *     8  u16 line
 *    10  u16 flags           BUGFLAG_*; BUGFLAG_DONE is set here when a WARN_ONCE has fired
 *
 * The copy starts with BUGFLAG_DONE clear, so a WARN_ONCE in replaced code may fire once more.
 */
export const bugTable: SpecialTable = {
  section: '__bug_table',
  prefix: false,
  entrySize: 12,
  fields: [
    { name: 'bug_addr', offset: 0, length: 4, meaning: 'owner' },
    { name: 'file', offset: 4, length: 4, meaning: 'reference' },
    { name: 'line', offset: 8, length: 2, meaning: 'line' },
    { name: 'flags', offset: 10, length: 2, meaning: 'value' },
  ],
  extraction: 'keep',
  onChange: 'function',
  why: 'BUG and WARN in the replacement code must be told apart from a wild ud2',
};
