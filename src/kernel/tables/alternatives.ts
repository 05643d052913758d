import type { SpecialTable } from './special-table.ts';

/**
 * `struct alt_instr` (arch/x86/include/asm/alternative.h), 12 bytes, packed:
 *
 *     0  s32 instr_offset     the original instruction, relative to this field
 *     4  s32 repl_offset      the replacement in .altinstr_replacement, relative to this field
 *     8  u16 cpuid            feature bit; bit 15 negates it (ALTINSTR_FLAG_INV)
 *    10  u8  instrlen         length at the site, padding nops included
 *    11  u8  replacementlen   at most instrlen
 *
 * Several entries may name one site; the kernel applies them in table order, the last match wins.
 * Kernels before 5.13 had a 13th byte (padlen), later ones widen cpuid to 32 bits with flags: 14 bytes.
 * A table whose size does not divide is refused, so that another layout cannot be misread silently.
 */
export const altInstructions: SpecialTable = {
  section: '.altinstructions',
  prefix: false,
  entrySize: 12,
  fields: [
    { name: 'instr_offset', offset: 0, length: 4, meaning: 'owner' },
    { name: 'repl_offset', offset: 4, length: 4, meaning: 'replacement' },
    { name: 'cpuid', offset: 8, length: 2, meaning: 'value' },
    { name: 'instrlen', offset: 10, length: 1, meaning: 'value' },
    { name: 'replacementlen', offset: 11, length: 1, meaning: 'value' },
  ],
  extraction: 'keep',
  onChange: 'function',
  why: 'the module loader applies the alternatives of a module',
};

/** Bit of `cpuid` that means "if the feature is absent". */
export const ALTINSTR_FLAG_INV = 0x8000;

/** The replacement instructions: pieces that `.altinstructions` cuts out by offset and length. */
export const altReplacement: SpecialTable = {
  section: '.altinstr_replacement',
  prefix: false,
  entrySize: undefined,
  fields: [],
  extraction: 'with-entry',
  onChange: 'function',
  why: 'each piece goes with the entry of .altinstructions that names it',
};

/**
 * Code of `_static_cpu_has()` (arch/x86/include/asm/cpufeature.h): a `testb` and two jumps back into the
 * function, used until alternatives have been applied. The original instruction of the site is a jump to
 * here. One section is shared by all functions of a unit; a piece belongs to the function that jumps to it.
 */
export const altAux: SpecialTable = {
  section: '.altinstr_aux',
  prefix: false,
  entrySize: undefined,
  fields: [],
  extraction: 'with-entry',
  onChange: 'function',
  why: 'each piece goes with the function that jumps to it',
};
