/**
 * What kinds of things a change touches, and whether these alone stand in the way of an update: code and data that have
 * done their work at boot, data whose values and places belong to the running kernel, code that may not be replaced.
 */
import type { ChangedSection } from './changed-sections.ts';

/** `table`: an array that the linker gathers for the kernel, such as exports and parameters. */
export const KINDS = ['code', 'init', 'exit', 'data', 'layout', 'special', 'table'] as const;
export type Kind = (typeof KINDS)[number];

/** Code of this place is copied elsewhere, runs before the kernel, or without what a kernel has. */
const SPECIAL_FILES = /^arch\/x86\/(?:boot|entry|realmode|purgatory|power)\//;
const SPECIAL_CODE = /^\.(?:noinstr|entry|cpuidle|kprobes|head|spinlock|irqentry|softirqentry)\.text/;
const INIT = /^\.(?:(?:mem)?init|cpuinit|devinit)\.|^\.(?:con_)?initcall/;
const EXIT = /^\.(?:mem)?exit\.|^\.exitcall/;
const DATA = /^\.(?:data|bss|rodata)\b/;
/** Names and places of the source that macros put beside code, and what they note for themselves. */
const BESIDE_CODE =
  /\.(?:__func__|__FUNCTION__|__PRETTY_FUNCTION__|__key|__warned|__already_done|__print_once|_entry|_entry_ptr|descriptor|_rs|___tp_str|__tpstrtab_.*)$/;

export function kindsOf(file: string, changes: readonly ChangedSection[]): ReadonlySet<Kind> {
  return new Set(changes.map((change) => kindOf(file, change)));
}

function kindOf(file: string, { name, change }: ChangedSection): Kind {
  if (SPECIAL_FILES.test(file) || SPECIAL_CODE.test(name)) return 'special';
  if (INIT.test(name)) return 'init';
  if (EXIT.test(name)) return 'exit';
  if (/^\.(?:text|ref\.text|sched\.text|static_call\.text)\b/.test(name)) return 'code';
  if (!DATA.test(name)) return 'table';
  if (change === 'new' || change === 'removed' || BESIDE_CODE.test(name)) return 'code';
  return change === 'resized' ? 'layout' : 'data';
}

/**
 * Whether a file of which no update was made needs none of us: its only obstacle is initial code or data (which is one
 * only if nothing else changes), initial values, layout, or code that may not be replaced.
 */
export function isExcused(kinds: ReadonlySet<Kind>): boolean {
  if (kinds.has('table')) return false;
  return kinds.has('data') || kinds.has('layout') || kinds.has('special') || isOnly(kinds, 'init');
}

export function isOnly(kinds: ReadonlySet<Kind>, kind: Kind): boolean {
  return kinds.size === 1 && kinds.has(kind);
}
