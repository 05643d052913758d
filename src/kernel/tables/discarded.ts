/** Sections that only compilers, objtool and debuggers read, or that the kernel's own link throws away. */
import type { SpecialTable } from './special-table.ts';

function discarded(section: string, prefix: boolean): SpecialTable {
  return {
    section,
    prefix,
    entrySize: undefined,
    fields: [],
    extraction: 'drop',
    onChange: 'ignore',
    why: 'the running kernel does not have it',
  };
}

export const discardedSections: readonly SpecialTable[] = [
  // .discard.{addressable,reachable,unreachable,retpoline_safe,noendbr,ignore_alts,instr_begin,...}
  discarded('.discard', true),
  discarded('.comment', false),
  discarded('.note', true),
  discarded('.debug', true),
  discarded('.zdebug', true),
  discarded('.stab', true),
  discarded('.eh_frame', true),
  discarded('.llvm_addrsig', false),
  discarded('.llvm.', true),
  discarded('.GCC.command.line', false),
  discarded('.gnu.warning', true),
  discarded('.gnu_debuglink', false),
];
