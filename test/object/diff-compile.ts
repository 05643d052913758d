import type { Comparison } from '../../src/diff/compare-items.ts';
import { compareUnit, diffCompared } from '../../src/diff/diff-unit.ts';
import { extractReplacement } from '../../src/diff/extract-replacement.ts';
import type { Replacement } from '../../src/diff/replacement.ts';
import type { UnitChange } from '../../src/diff/unit-change.ts';
import type { ObjectFile, Relocation, Section } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { writeObject } from '../../src/elf/write-object.ts';
import { openWorkshop } from '../support/compile.ts';
import { staticBranch } from '../support/static-branch.ts';

/** As a kernel is compiled, as far as it shapes objects. */
const flags = [
  '-O2',
  '-std=gnu11',
  '-ffunction-sections',
  '-fdata-sections',
  '-mcmodel=kernel',
  '-mno-red-zone',
  '-fno-PIE',
  '-fno-common',
  '-fcf-protection=none',
  '-fno-asynchronous-unwind-tables',
  '-fno-strict-aliasing',
  '-Wall',
  '-Wno-unused',
];

/** Cut down from the kernel's own headers: what makes entries in special sections. */
const prelude = `
#define noinline __attribute__((noinline))
#define __cold __attribute__((cold))
#define __section(name) __attribute__((section(name)))
#define unlikely(x) __builtin_expect(!!(x), 0)
#define EX_TABLE(from, to) \\
  ".pushsection __ex_table,\\"a\\"\\n .balign 4\\n .long (" #from ") - .\\n .long (" #to ") - .\\n .long 3\\n .popsection\\n"
#define WARN() asm volatile("1: ud2\\n .pushsection __bug_table,\\"aw\\"\\n 2: .long 1b - .\\n" \\
  " .long %c0 - .\\n .word %c1\\n .word %c2\\n .org 2b+12\\n .popsection" \\
  : : "i" (__FILE__), "i" (__LINE__), "i" (1))
#define WARN_ONCE() ({ static _Bool __section(".data.once") __already_done; \\
  if (!__already_done) { __already_done = 1; WARN(); } })
struct static_key { int enabled; void *entries; };
${staticBranch()}
#define ALTERNATIVE(old, new, feature) "661: " old "\\n662:\\n .skip -(((665f-664f)-(662b-661b)) > 0) * ((665f-664f)-(662b-661b)),0x90\\n663:\\n" \\
  ".pushsection .altinstructions,\\"a\\"\\n .long 661b - .\\n .long 664f - .\\n .word " #feature "\\n .byte 663b-661b\\n .byte 665f-664f\\n .popsection\\n" \\
  ".pushsection .altinstr_replacement,\\"ax\\"\\n 664: " new "\\n665:\\n .popsection\\n"
int printk(const char *format, ...);
void take(const void *pointer);
int use(int value);
`;

/** Compiles C source after the prelude; lines count from the source's first. */
export function compile(source: string, more: readonly string[] = []): ObjectFile {
  using workshop = openWorkshop();
  workshop.compile('unit.c', `${prelude}\n#line 1 "unit.c"\n${source}`, [...flags, ...more]);
  return readObject(workshop.read('unit.o'), 'unit.o');
}

export interface Pair {
  readonly pre: ObjectFile;
  readonly post: ObjectFile;
  readonly comparison: Comparison;
  readonly change: UnitChange;
}

export function diffSources(pre: string, post: string, more: readonly string[] = []): Pair {
  const before = compile(pre, more);
  const after = compile(post, more);
  const { comparison, ...compared } = compareUnit(before, after);
  return { pre: before, post: after, comparison, change: diffCompared({ comparison, ...compared }) };
}

/** Names of what a change replaces. */
export function replacedNames(pair: Pair): readonly string[] {
  return pair.change.replaced.map((each) => each.name).sort();
}

/** Codes of a change's diagnostics that are errors. */
export function errorCodes(pair: Pair): readonly string[] {
  return pair.change.diagnostics.filter((each) => each.severity === 'error').map((each) => each.code);
}

export interface Extracted extends Replacement {
  /** The object as another reader sees it, once written. */
  readonly written: ObjectFile;
}

/** Extracts, writes, has `ld -r` and `readelf` accept the object, and reads it back. */
export function extract(pair: Pair): Extracted {
  const replacement = extractReplacement(pair.comparison, pair.change);
  const bytes = writeObject(replacement.object);
  using workshop = openWorkshop();
  workshop.write('replacement.o', bytes);
  workshop.run('ld', '-r', '--fatal-warnings', '-o', 'linked.o', 'replacement.o');
  const dump = workshop.run('readelf', '-aW', 'replacement.o');
  if (/warning|error/i.test(dump)) throw new Error(dump);
  return { ...replacement, written: readObject(bytes, 'replacement.o') };
}

export function sectionNamed(object: ObjectFile, name: string): Section {
  const section = object.sections.find((each) => each.name === name);
  if (section === undefined) throw new Error(`${object.path} has no section ${name}`);
  return section;
}

/** `name+addend` of each relocation of a section; `undefined:` in front of what the object does not define. */
export function relocationTexts(object: ObjectFile, name: string): readonly string[] {
  return sectionNamed(object, name).relocations.map((each) => relocationText(object, each));
}

function relocationText(object: ObjectFile, relocation: Relocation): string {
  const symbol = object.symbols[relocation.symbol];
  if (symbol === undefined) throw new Error('no such symbol');
  const place = symbol.place === 'undefined' ? 'undefined:' : '';
  const section = typeof symbol.place === 'number' ? object.sections[symbol.place]?.name : undefined;
  return `${place}${symbol.name === '' ? section : symbol.name}${relocation.addend < 0 ? '' : '+'}${relocation.addend}`;
}
