/**
 * Where the kernel's tables about its code lie: in vmlinux, symbols bound each one; a module has sections of its own, of
 * which the kernel tells where they begin.
 */
import { MatchError } from '../diagnostics/error.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { Kernel, LoadedModule } from '../kernel/kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { bugTable } from '../kernel/tables/bug-table.ts';
import { exceptionTable } from '../kernel/tables/exception-table.ts';
import { jumpTable } from '../kernel/tables/jump-table.ts';
import { orcUnwind, orcUnwindIp } from '../kernel/tables/orc.ts';
import type { SpecialTable } from '../kernel/tables/special-table.ts';
import { staticCallSites } from '../kernel/tables/static-calls.ts';

/** A table, and what bounds it in vmlinux, by name (vmlinux.lds.h). */
export interface LinkedTable {
  readonly table: SpecialTable;
  readonly start: string;
  readonly stop: string;
  readonly entrySize: number;
  /** In vmlinux. The loader sorts those of modules, too, but they are short. */
  readonly isSorted: boolean;
}

const linkedTable = (table: SpecialTable, name: string, isSorted = false): LinkedTable => ({
  table,
  start: `__start_${name}`,
  stop: `__stop_${name}`,
  entrySize: table.entrySize ?? 1,
  isSorted,
});

/** Tables of which every entry about matched code is compared. */
export const linkedTables: readonly LinkedTable[] = [
  linkedTable(jumpTable, '__jump_table'),
  linkedTable(staticCallSites, 'static_call_sites'),
  linkedTable(exceptionTable, '__ex_table', true),
  linkedTable(bugTable, '__bug_table'),
];

/** The ORC unwinder's: what code an entry is about, and under the same number what it says. */
export const orcAddresses: LinkedTable = linkedTable(orcUnwindIp, 'orc_unwind_ip', true);
export const orcEntries: LinkedTable = linkedTable(orcUnwind, 'orc_unwind');

/** Symbols that finding the tables looks up. */
export const tableNames: readonly string[] = [...linkedTables, orcAddresses, orcEntries].flatMap(
  ({ start, stop }) => [start, stop],
);

/** Where a module lies. */
export interface ModulePlaces {
  /** Where its sections begin. */
  readonly sections: ReadonlyMap<string, Address>;
  /** Where its core part ends. */
  readonly end: Address | undefined;
}

export interface Bounds {
  readonly start: Address;
  /** Entries that it has. Of a module's table, perhaps some more: up to where the next section begins. */
  readonly count: number;
  readonly isSorted: boolean;
}

/** More than any kernel has; vmlinux has 400,000 of ORC's. */
const MOST_ENTRIES = 2 ** 24;

/**
 * Undefined if the target has no such table. MatchError for one that cannot be. `module`: where it lies, for a target
 * that is one.
 */
export function boundsOf(
  kernel: Kernel,
  table: LinkedTable,
  target: string,
  module: ModulePlaces | undefined,
): Bounds | undefined {
  const found = module === undefined ? inVmlinux(kernel, table) : inModule(table, module);
  if (found === undefined) return undefined;
  if (Number.isInteger(found.count) && found.count >= 0 && found.count <= MOST_ENTRIES) return found;
  throw new MatchError('no_match', `${target}: ${table.table.section} has ${found.count} entries`, {
    hint: 'this kernel has another layout of the table than the one known here',
  });
}

/** Of a target that is a module; undefined for vmlinux. For a module that is not loaded, no places. */
export function placesOf(
  kernel: Kernel,
  modules: readonly LoadedModule[],
  target: string,
): ModulePlaces | undefined {
  if (target === VMLINUX) return undefined;
  const module = modules.find(({ name }) => name === target);
  const end = module === undefined ? undefined : addressAt(module.base, module.size);
  return { sections: kernel.sectionsOf(target), end };
}

function inVmlinux(kernel: Kernel, { start, stop, entrySize, isSorted }: LinkedTable): Bounds | undefined {
  const only = (name: string): Address | undefined => {
    const [symbol, second] = kernel.named(name);
    return second === undefined ? symbol?.address : undefined;
  };
  const [from, to] = [only(start), only(stop)];
  if (from === undefined || to === undefined) return undefined;
  return { start: from, count: Number(to - from) / entrySize, isSorted };
}

/** What the padding behind a table says is about no code. */
function inModule({ table, entrySize }: LinkedTable, { sections, end }: ModulePlaces): Bounds | undefined {
  const start = sections.get(table.section);
  if (start === undefined || end === undefined) return undefined;
  let stop: bigint = end;
  for (const each of sections.values()) if (each > start && each < stop) stop = each;
  return { start, count: Math.floor(Number(stop - start) / entrySize), isSorted: false };
}
