import type { SpecialTable } from './special-table.ts';

/** An absolute 64-bit address: a function that must not be probed (NOKPROBE_SYMBOL). */
export const kprobeBlacklist: SpecialTable = {
  section: '_kprobe_blacklist',
  prefix: false,
  entrySize: 8,
  fields: [{ name: 'function', offset: 0, length: 8, meaning: 'owner' }],
  extraction: 'keep',
  onChange: 'function',
  why: 'a probe in the replacement of such a function is as deadly as in the original',
};

/** `struct error_injection_entry` (ALLOW_ERROR_INJECTION): address, type; 16 bytes. */
export const errorInjection: SpecialTable = {
  section: '_error_injection_whitelist',
  prefix: false,
  entrySize: 16,
  fields: [
    { name: 'addr', offset: 0, length: 8, meaning: 'owner' },
    { name: 'etype', offset: 8, length: 4, meaning: 'value' },
    { name: 'padding', offset: 12, length: 4, meaning: 'padding' },
  ],
  extraction: 'drop',
  onChange: 'ignore',
  why: 'error injection goes to the entry of the original function',
};
