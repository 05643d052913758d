import type { SpecialTable } from './special-table.ts';

/**
 * s32, relative to itself: a `call`, `jmp` or `jcc` to `__x86_indirect_thunk_REG`, made by objtool.
 * The site is 5 bytes long, 6 with the CS prefix that gcc sets for r8 to r15 or for a `jcc`.
 */
export const retpolineSites: SpecialTable = {
  section: '.retpoline_sites',
  prefix: false,
  entrySize: 4,
  fields: [{ name: 'addr', offset: 0, length: 4, meaning: 'owner' }],
  extraction: 'keep',
  onChange: 'function',
  why: 'the module loader rewrites indirect branches as this machine needs them',
};
