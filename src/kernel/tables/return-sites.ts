import type { SpecialTable } from './special-table.ts';

/** s32, relative to itself: a five-byte `jmp __x86_return_thunk`, made by objtool. */
export const returnSites: SpecialTable = {
  section: '.return_sites',
  prefix: false,
  entrySize: 4,
  fields: [{ name: 'addr', offset: 0, length: 4, meaning: 'owner' }],
  extraction: 'keep',
  onChange: 'function',
  why: 'the module loader rewrites returns as this machine needs them',
};
