/**
 * The tables that ld gathers from all units of vmlinux, or of a module, and that the kernel sorts by the code which an
 * entry is about.
 */
import type { ObjectFile, Relocation, Section, SectionIndex } from '../../src/elf/model.ts';
import { type Address, addressAt } from '../../src/kernel/address.ts';

export interface Loaded {
  readonly object: ObjectFile;
  readonly placed: ReadonlyMap<SectionIndex, Address>;
  /** Undefined for what is built in. */
  readonly module: string | undefined;
}

/** An entry, still where its unit has it. */
interface Entry extends Loaded {
  readonly section: Section;
  readonly offset: number;
  readonly owner: bigint;
}

/** Section, entry size, name of its bounds. */
const gathered = [
  ['__jump_table', 16, '__jump_table'],
  ['.static_call_sites', 8, 'static_call_sites'],
  ['__ex_table', 12, '__ex_table'],
  ['__bug_table', 12, '__bug_table'],
  ['.orc_unwind_ip', 4, 'orc_unwind_ip'],
] as const;
const ORC_SIZE = 6;

/** What making tables needs of the kernel that they are in. */
export interface TableMaker {
  readonly isRunning: boolean;
  /** Maps zeros; a page at least, so that what lies behind a table can be read. */
  readonly mapZeros: (size: number) => Address;
  readonly read: (at: Address, size: number) => Uint8Array;
  readonly write: (at: bigint, bytes: readonly number[]) => void;
  /** S + A. */
  readonly value: (loaded: Loaded, relocation: Relocation) => bigint;
  readonly relocate: (loaded: Loaded, base: Address, relocation: Relocation) => void;
}

export interface GatheredTable {
  readonly section: string;
  /** Symbols around it are `__start_NAME` and `__stop_NAME`. */
  readonly bounds: string;
  readonly start: Address;
  readonly end: Address;
}

function entriesOf(loaded: Loaded, name: string, size: number, maker: TableMaker): readonly Entry[] {
  return loaded.object.sections
    .filter((each) => each.name === name)
    .flatMap((section) =>
      Array.from({ length: section.size / size }, (_, i): Entry => {
        const owning = section.relocations.find((each) => each.offset === i * size);
        const owner = owning === undefined ? 0n : maker.value(loaded, owning);
        return { ...loaded, section, offset: i * size, owner };
      }),
    );
}

function putEntry(entry: Entry, at: Address, size: number, maker: TableMaker): void {
  const { section, offset } = entry;
  maker.write(at, [...section.data.subarray(offset, offset + size)]);
  for (const relocation of section.relocations) {
    if (relocation.offset < offset || relocation.offset >= offset + size) continue;
    maker.relocate(entry, at, { ...relocation, offset: relocation.offset - offset });
  }
  // jump_entry_set_init(): no code of .init here.
  if (section.name === '__jump_table' && maker.isRunning) {
    const key = addressAt(at, 8);
    maker.write(key, [(maker.read(key, 1)[0] ?? 0) & ~2]);
  }
}

/** `.orc_unwind`, in the order that `.orc_unwind_ip` has now. */
function gatherOrc(entries: readonly Entry[], maker: TableMaker): GatheredTable {
  const bytes = entries.flatMap(({ object, offset }) => {
    const section = object.sections.find((each) => each.name === '.orc_unwind');
    const number = offset / 4;
    return [...(section?.data.subarray(number * ORC_SIZE, (number + 1) * ORC_SIZE) ?? [])];
  });
  const start = maker.mapZeros(bytes.length);
  maker.write(start, bytes);
  return { section: '.orc_unwind', bounds: 'orc_unwind', start, end: addressAt(start, bytes.length) };
}

/** Makes every table anew. */
export function gatherTables(loaded: readonly Loaded[], maker: TableMaker): readonly GatheredTable[] {
  return gathered.flatMap(([name, size, bounds]) => {
    const entries = loaded
      .flatMap((each) => entriesOf(each, name, size, maker))
      .toSorted((a, b) => (a.owner < b.owner ? -1 : a.owner > b.owner ? 1 : 0));
    // The linker script aligns the kernel's; a module's has the alignment that the assembler gave it, and that is none.
    const isModule = loaded.some(({ module }) => module !== undefined);
    const shift = isModule && name === '.static_call_sites' ? 1 : 0;
    const start = addressAt(maker.mapZeros(entries.length * size + shift), shift);
    entries.forEach((entry, i) => {
      putEntry(entry, addressAt(start, i * size), size, maker);
    });
    const table = { section: name, bounds, start, end: addressAt(start, entries.length * size) };
    return name === '.orc_unwind_ip' ? [table, gatherOrc(entries, maker)] : [table];
  });
}
