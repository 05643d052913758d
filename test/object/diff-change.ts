import { expect } from 'vitest';
import type { Diagnostic } from '../../src/diff/diagnostic.ts';
import { diffUnit } from '../../src/diff/diff-unit.ts';
import type { UnitChange } from '../../src/diff/unit-change.ts';
import { compile } from './diff-compile.ts';

export const OBJECT = 'unit.o';

/** The change from one source to another, of a unit with this path. */
export function changeAt(path: string, pre: string, post: string): UnitChange {
  const [before, after] = [pre, post].map((source) => ({ ...compile(source), path }));
  if (before === undefined || after === undefined) throw new Error('nothing compiled');
  return diffUnit(before, after);
}

export function brief({ severity, code }: Diagnostic): string {
  return `${severity} ${code}`;
}

const work = (value: number): string => `\nint work(int x) { return use(x) + ${value}; }`;

/** The only diagnostic of a change in which `work` is replaced, too. */
export function only(pre: string, post: string, path = OBJECT): Diagnostic {
  const change = changeAt(path, pre + work(1), post + work(2));
  expect(change.replaced.map(({ name }) => name)).toEqual(['work']);
  expect(change.diagnostics.map(({ message }) => message)).toHaveLength(1);
  const [diagnostic] = change.diagnostics;
  if (diagnostic === undefined) throw new Error('no diagnostic');
  return diagnostic;
}

/** A function that the tables are about. */
export const f = 'int f(int x) { return use(x); }\n';

export interface Kind {
  readonly gpl?: boolean;
  readonly namespace?: string;
}

/** An export of f in the shape of include/linux/export.h, 6.1. */
export function exportOf({ gpl = false, namespace = '' }: Kind = {}): string {
  return `asm(".pushsection \\"___ksymtab${gpl ? '_gpl' : ''}+f\\", \\"a\\"\\n .balign 4\\n"
    " .long f - ., __kstrtab_f - ., __kstrtabns_f - .\\n .popsection\\n"
    ".pushsection __ksymtab_strings, \\"aMS\\", %progbits, 1\\n"
    "__kstrtab_f: .asciz \\"f\\"\\n__kstrtabns_f: .asciz \\"${namespace}\\"\\n .popsection");\n`;
}

/** An entry of a table of absolute addresses. */
export const pointer = (section: string, target: string): string =>
  `asm(".pushsection ${section}, \\"aw\\"\\n .balign 8\\n .quad ${target}\\n .popsection");\n`;
