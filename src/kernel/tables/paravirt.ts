import type { SpecialTable } from './special-table.ts';

/**
 * `struct paravirt_patch_site` (arch/x86/include/asm/paravirt_types.h), 16 bytes:
 *
 *     0  u8 *instr    the call through pv_ops, an absolute 64-bit address
 *     8  u8  type     index of the operation in pv_ops, in pointers
 *     9  u8  len      length of the original instruction
 *    10  u16 clobber  written by the macro, read by nobody since 4.20, then padding to 8 bytes
 *
 * The kernel turns the indirect call into a direct one, or into nops, by what pv_ops holds at boot.
 */
export const paraInstructions: SpecialTable = {
  section: '.parainstructions',
  prefix: false,
  entrySize: 16,
  fields: [
    { name: 'instr', offset: 0, length: 8, meaning: 'owner' },
    { name: 'type', offset: 8, length: 1, meaning: 'value' },
    { name: 'len', offset: 9, length: 1, meaning: 'value' },
    { name: 'clobber', offset: 10, length: 6, meaning: 'padding' },
  ],
  extraction: 'keep',
  onChange: 'function',
  why: 'the module loader patches the paravirt calls of a module',
};
