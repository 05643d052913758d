import type { SpecialTable } from './special-table.ts';

/**
 * `struct jump_entry` (include/linux/jump_label.h, the relative form), 16 bytes:
 *
 *     0  s32 code     the nop or jump, relative to this field
 *     4  s32 target   where it jumps when enabled, relative to this field
 *     8  s64 key      struct static_key, relative to this field, plus two flag bits:
 *                     bit 0: the code is laid out for the key being true (branch)
 *                     bit 1: in the object: "objtool, make the jump a nop" (JUMP_LABEL_HACK);
 *                            in the running kernel: the code lies in init text
 *
 * The flag bits are part of the relocation's addend. The site is 2 bytes long (jmp rel8 or `66 90`) or 5
 * (jmp rel32 or `0f 1f 44 00 00`), whichever the assembler chose.
 */
export const jumpTable: SpecialTable = {
  section: '__jump_table',
  prefix: false,
  entrySize: 16,
  fields: [
    { name: 'code', offset: 0, length: 4, meaning: 'owner' },
    { name: 'target', offset: 4, length: 4, meaning: 'code' },
    { name: 'key', offset: 8, length: 8, meaning: 'reference' },
  ],
  extraction: 'keep',
  onChange: 'function',
  why: 'the branch must follow its key, whose address is the existing one',
};

export const JUMP_ENTRY_BRANCH = 1;
export const JUMP_ENTRY_NOP_HACK = 2;
