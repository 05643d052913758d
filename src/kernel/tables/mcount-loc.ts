import type { SpecialTable } from './special-table.ts';

/**
 * An absolute 64-bit address: the five-byte `call __fentry__` at a function's entry, made by gcc
 * (-mrecord-mcount) or objtool. ftrace turns it into a nop at boot and into a call when tracing.
 */
export const mcountLoc: SpecialTable = {
  section: '__mcount_loc',
  prefix: false,
  entrySize: 8,
  fields: [{ name: 'ip', offset: 0, length: 8, meaning: 'owner' }],
  extraction: 'keep',
  onChange: 'function',
  why: 'the replacement can be traced, and its calls of __fentry__ must become nops',
};
