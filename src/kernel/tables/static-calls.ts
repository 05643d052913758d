import type { SpecialTable } from './special-table.ts';

/**
 * `struct static_call_site` (include/linux/static_call_types.h), 8 bytes, made by objtool:
 *
 *     0  s32 addr   the call or jump, relative to this field
 *     4  s32 key    __SCK__name, relative to this field, plus bit 0 for a tail call and bit 1 for init
 *                   text; in a module that may not see the key: the trampoline __SCT__name
 *
 * The site is a direct call (5 bytes) or a tail jump (5, conditional 6) that always goes to the function
 * which the key holds at the moment; with a NULL function it is a nop or a return.
 */
export const staticCallSites: SpecialTable = {
  section: '.static_call_sites',
  prefix: false,
  entrySize: 8,
  fields: [
    { name: 'addr', offset: 0, length: 4, meaning: 'owner' },
    { name: 'key', offset: 4, length: 4, meaning: 'reference' },
  ],
  extraction: 'keep',
  onChange: 'function',
  why: 'the module loader points each call at what its key holds',
};

export const STATIC_CALL_SITE_TAIL = 1;

/** What names of trampolines begin with (STATIC_CALL_TRAMP_PREFIX). */
export const STATIC_CALL_TRAMPOLINE = '__SCT__';

/** The key of a static call, by the name of its trampoline; a key's own name stays as it is. */
export function staticCallKeyName(name: string): string {
  return name.replace(/^__SCT__/, '__SCK__');
}

/** Trampolines `__SCT__name` of the keys that this unit defines: `jmp rel32` (or a return), then `ud1`. */
export const staticCallText: SpecialTable = {
  section: '.static_call.text',
  prefix: false,
  entrySize: undefined,
  fields: [],
  extraction: 'drop',
  onChange: 'ignore',
  why: 'the trampolines of existing keys exist already; a second one would not be updated',
};

/** Length of a trampoline: five bytes that the kernel rewrites and the `ud1` that marks it. */
export const STATIC_CALL_TRAMPOLINE_SIZE = 8;

/** Pairs of trampoline and key, so that modules which see only the trampoline find the key. */
export const staticCallTrampolineKeys: SpecialTable = {
  section: '.static_call_tramp_key',
  prefix: false,
  entrySize: 8,
  fields: [
    { name: 'tramp', offset: 0, length: 4, meaning: 'reference' },
    { name: 'key', offset: 4, length: 4, meaning: 'reference' },
  ],
  extraction: 'drop',
  onChange: 'refuse',
  why: 'it registers keys of the kernel itself',
};
