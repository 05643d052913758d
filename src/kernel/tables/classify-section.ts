/**
 * What a section of a unit is for, from its name and flags.
 *
 * Names decide where the kernel gives them a meaning, flags for the rest. A section that is allocated and
 * neither has a known name nor a known shape is `unknown`, and whoever needs its meaning refuses it by
 * name: a section that we do not understand may be a table that the kernel acts on.
 */
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHT_NOBITS,
} from '../../elf/constants.ts';
import type { Section } from '../../elf/model.ts';
import { hookKindOf } from './hooks.ts';
import { tableOf } from './table-of.ts';

export type SectionClass =
  /** Functions that can be replaced. */
  | 'text'
  /** Functions that must not be: entry code, noinstr, kprobe internals, thunks. */
  | 'restricted-text'
  /** Functions that ran at boot and are gone (`__init`). */
  | 'init-text'
  /** Functions of module unload; discarded in built-in code (`__exit`). */
  | 'exit-text'
  | 'rodata'
  /** Mergeable NUL-terminated strings. */
  | 'strings'
  /** Mergeable constants of equal size, `.rodata.cst8`. */
  | 'constants'
  | 'data'
  | 'bss'
  | 'percpu'
  | 'init-data'
  /** A special section, see `tableOf`, whether kept or dropped. */
  | 'table'
  /** Pointers to an update's hooks, see `hookKindOf`. */
  | 'hooks'
  /** Not part of the running kernel: debug information, symbol tables. */
  | 'drop'
  | 'unknown';

/** What decides about sections, and no object tells. */
export interface SectionFacts {
  /**
   * What is marked `__meminit` stays after boot: with CONFIG_MEMORY_HOTPLUG (MEM_KEEP, include/asm-generic/vmlinux.lds.h),
   * and in modules, whose loader frees `.init*` only (module_init_section()).
   */
  readonly keepsMeminit?: boolean | undefined;
}

const restrictedText = /^\.(?:noinstr|entry|head|kprobes|xiptext|cpuidle)\b.*|^\.text\.\.(?:__x86|entry)/;
const initText = /^\.(?:init\.text|inittext|meminit\.text|text\.startup)\b/;
const exitText = /^\.(?:exit\.text|memexit\.text|text\.exit)\b/;
const initData =
  /^\.(?:init\.(?:data|rodata|bss|scratch)|meminit\.(?:data|rodata)|exit\.data|memexit\.data)\b/;
const plainText = /^\.text$|^\.text\.|^\.(?:ref|sched|spinlock|lock|irqentry|softirqentry)\.text$/;
const plainRodata = /^\.(?:rodata|data\.rel\.ro)(?:$|[.\d])|^\.ref\.rodata$|^\.kexec-purgatory$/;
// The scheduling classes: objects that vmlinux.lds.h puts in the order of their priority.
const orderedRodata = /^__(?:stop|rt|dl|fair|idle|ext)_sched_class$|^__tracepoints_strings$/;
const plainData = /^\.(?:data|ref\.data)(?:$|\.)|^\.vvar_|^__tracepoints$|^__dyndbg$|^___srcu_struct_ptrs$/;
const plainBss = /^\.bss(?:$|\.)/;

function classifyAllocated(section: Section): SectionClass {
  const { name, flags } = section;
  if ((flags & SHF_EXECINSTR) !== 0) {
    if (restrictedText.test(name)) return 'restricted-text';
    if (initText.test(name)) return 'init-text';
    if (exitText.test(name)) return 'exit-text';
    return plainText.test(name) ? 'text' : 'unknown';
  }
  if (name.startsWith('.data..percpu')) return 'percpu';
  if (initData.test(name)) return 'init-data';
  if (plainBss.test(name) && section.type === SHT_NOBITS) return 'bss';
  if ((flags & SHF_MERGE) !== 0 && (flags & SHF_WRITE) === 0) {
    return (flags & SHF_STRINGS) !== 0 ? 'strings' : 'constants';
  }
  // gcc gives a const object with relocations a writable section, `.data.rel.ro*`; it is constant all the same.
  if (plainRodata.test(name) || orderedRodata.test(name)) return 'rodata';
  if (plainData.test(name)) return 'data';
  return 'unknown';
}

/** Class of a section of an object file; total, see `unknown`. */
export function classifySection(section: Section, facts: SectionFacts = {}): SectionClass {
  if (facts.keepsMeminit === true && section.name.startsWith('.meminit.')) {
    if ((section.flags & SHF_ALLOC) === 0) return 'drop';
    if ((section.flags & SHF_EXECINSTR) !== 0) return 'text';
    return section.name.startsWith('.meminit.rodata') ? 'rodata' : 'data';
  }
  const table = tableOf(section.name);
  if (table !== undefined) return 'table';
  if (hookKindOf(section.name) !== undefined) return 'hooks';
  return (section.flags & SHF_ALLOC) === 0 ? 'drop' : classifyAllocated(section);
}
