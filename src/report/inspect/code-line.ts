import type { SourceLine } from '../../elf/line-table.ts';

/** An instruction, for people. */
export interface CodeLine {
  /** Bytes from the start of the function or cold part. */
  readonly offset: number;
  /** As the object has them: fields that a relocation fills in are 0 or an addend. */
  readonly bytes: Uint8Array;
  /** AT&T syntax, with names in place of what relocations fill in: `call kfree`, `lea "text"(%rip),%rdi`. */
  readonly text: string;
  /** Equal for instructions that mean the same wherever they lie, as far as one side tells. */
  readonly key: string;
  /** Where a branch within this code goes, from its start. */
  readonly target: number | undefined;
  readonly source: SourceLine | undefined;
}
