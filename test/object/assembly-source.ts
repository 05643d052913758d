/** Assembly as the kernel writes it, assembled before and after a change and compared. */
import { type AssemblyChange, diffAssembly } from '../../src/diff/assembly-change.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { openWorkshop } from '../support/compile.ts';

/** What the kernel's linkage.h and asm.h make of SYM_FUNC_START, SYM_CODE_START_LOCAL, _ASM_EXTABLE and ALTERNATIVE. */
export const prelude = `
.macro FUNC name, linkage=globl
  .\\linkage \\name
  .p2align 4, 0x90
\\name:
.endm
.macro END name
  .type \\name, @function
  .size \\name, . - \\name
.endm
.macro CODE name
  .p2align 4, 0x90
\\name:
.endm
.macro EXTABLE from, to
  .pushsection __ex_table, "a"
  .balign 4
  .long \\from - ., \\to - ., 3
  .popsection
.endm
.macro ALTERNATIVE old, new, feature
661: \\old
662:
  .pushsection .altinstructions, "a"
  .long 661b - ., 664f - .
  .word \\feature
  .byte 662b - 661b, 665f - 664f
  .popsection
  .pushsection .altinstr_replacement, "ax"
664: \\new
665:
  .popsection
.endm
.text
`;

export function assemble(source: string): ObjectFile {
  using workshop = openWorkshop();
  workshop.compile('unit.s', prelude + source);
  return readObject(workshop.read('unit.o'), 'unit.o');
}

export function compared(pre: string, post: string): AssemblyChange {
  return diffAssembly(assemble(pre), assemble(post));
}

export function replaced({ change }: AssemblyChange): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(change.replaced.map(({ name, why }) => [name, why]));
}

export function errors({ change }: AssemblyChange): readonly string[] {
  return change.diagnostics.filter(({ severity }) => severity === 'error').map(({ message }) => message);
}
