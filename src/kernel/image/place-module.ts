/**
 * A module at rest: its file laid out at an address, relocated, and named, as if the kernel had loaded it.
 *
 * Matching compares memory, and must not care whether the module's memory is in a running kernel or was made here.
 * What the loader does after relocating (alternatives, return thunks, ftrace, sorted tables) is not done: a place
 * that the kernel rewrites has its original content, which is one of its legal ones.
 *
 * The init part is gone, as it is on a kernel that runs: its sections have addresses, which relocations in the
 * core part need, and no memory.
 */
import { FormatError, MatchError } from '../../diagnostics/error.ts';
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  STB_WEAK,
  STT_OBJECT,
} from '../../elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section, SectionIndex } from '../../elf/model.ts';
import { type Address, addressAt, toAddress } from '../address.ts';
import { EXPORT_TABLES, PLAIN_EXPORT_TABLE, readExports } from './exports.ts';
import { Memory, type Region } from './memory.ts';
import { isCoreSymbol, layoutModule, type ModuleLayout } from './module-layout.ts';
import { relocateSection } from './module-relocations.ts';
import type { SymbolColumns } from './symbol-index.ts';

/** Where it goes: both bases must be free for as much as the layout needs. */
export interface ModulePlace {
  readonly base: Address;
  /** Of the init part. */
  readonly initBase: Address;
  /** What kallsyms lists for the first byte of its per-CPU section. */
  readonly perCpuBase: Address;
}

export interface PlacedModule {
  readonly regions: readonly Region[];
  /** In the order of the file's symbol table, which is the order of /proc/kallsyms. */
  readonly symbols: SymbolColumns;
  readonly exports: ReadonlyMap<string, Address>;
  /** Of the core part, by name. */
  readonly sections: ReadonlyMap<string, Address>;
}

/** What an undefined symbol stands for; undefined if nothing exports it. */
export type Resolver = (name: string) => Address | undefined;

/**
 * Makes a module's memory.
 * Throws FormatError `malformed_object`, and MatchError `failed_to_find` if symbols are exported by nobody.
 */
export function placeModule(
  object: ObjectFile,
  name: string,
  place: ModulePlace,
  resolve: Resolver,
  layout: ModuleLayout = layoutModule(object),
): PlacedModule {
  const addressOf = (index: SectionIndex): Address | undefined => {
    if (index === layout.perCpu?.index) return place.perCpuBase;
    const core = layout.core.get(index);
    if (core !== undefined) return addressAt(place.base, core);
    const init = layout.init.get(index);
    return init === undefined ? undefined : addressAt(place.initBase, init);
  };
  const values = valuesOf(object, name, addressOf, resolve);

  const bytes = new Uint8Array(layout.sectionsSize);
  for (const [index, offset] of layout.core) {
    const section = object.sections[index];
    if (section === undefined || section.type === SHT_NOBITS) continue;
    const contents = bytes.subarray(offset, offset + section.size);
    contents.set(section.data);
    relocateSection(object, section, contents, addressAt(place.base, offset), values);
  }
  const regions: Region[] = [];
  if (bytes.length > 0) regions.push({ address: place.base, size: bytes.length, data: bytes });
  if (layout.perCpu !== undefined) {
    const data = layout.perCpu.data.slice();
    relocateSection(object, layout.perCpu, data, place.perCpuBase, values);
    regions.push({ address: place.perCpuBase, size: layout.perCpu.size, data });
  }

  const memory = new Memory();
  for (const region of regions) memory.add(region);
  const tables = EXPORT_TABLES.map((table) => {
    const section = object.sections.find((each) => each.name === table && layout.core.has(each.index));
    const address = section === undefined ? undefined : addressOf(section.index);
    return section === undefined || address === undefined
      ? new Map<string, Address>()
      : readExports(memory, { name: table, address, size: section.size }, object.path);
  });
  const plain = tables[EXPORT_TABLES.indexOf(PLAIN_EXPORT_TABLE)] ?? new Map();
  return {
    regions,
    symbols: symbolsOf(object, layout, values, plain),
    exports: new Map(tables.flatMap((table) => [...table])),
    sections: new Map(
      [...layout.core].map(([index, offset]) => [
        object.sections[index]?.name ?? '',
        addressAt(place.base, offset),
      ]),
    ),
  };
}

/** The value of each symbol, after simplify_symbols() in kernel/module/main.c. */
function valuesOf(
  object: ObjectFile,
  name: string,
  addressOf: (index: SectionIndex) => Address | undefined,
  resolve: Resolver,
): (symbol: ElfSymbol) => Address {
  const values: (Address | undefined)[] = [];
  const missing: string[] = [];
  for (const symbol of object.symbols) {
    const { place } = symbol;
    if (symbol.index === 0) values.push(toAddress(0n));
    else if (place === 'absolute') values.push(toAddress(symbol.value));
    else if (typeof place === 'number') {
      const base = addressOf(place);
      values.push(base === undefined ? undefined : toAddress(base + symbol.value));
    } else if (place === 'undefined') {
      const found = resolve(symbol.name);
      if (found === undefined && symbol.binding !== STB_WEAK) missing.push(symbol.name);
      values.push(found ?? toAddress(0n));
    } else values.push(undefined);
  }
  if (missing.length > 0) {
    const others = missing.length > 1 ? ` (and ${missing.length - 1} others)` : '';
    throw new MatchError(
      'failed_to_find',
      `${name}: needs the symbol ${missing[0]}${others}, which neither the kernel nor a module it depends on exports`,
      {
        hint: `${object.path} may belong to another kernel than the image`,
        details: { module: name, symbols: missing },
      },
    );
  }
  return (symbol) => {
    const value = values[symbol.index];
    if (value === undefined) {
      throw new FormatError(
        'malformed_object',
        `${object.path}: symbol ${symbol.index} (${symbol.name}) is used, but not in a section that is loaded`,
        { details: { file: object.path } },
      );
    }
    return value;
  };
}

function symbolsOf(
  object: ObjectFile,
  layout: ModuleLayout,
  valueOf: (symbol: ElfSymbol) => Address,
  exported: ReadonlyMap<string, Address>,
): SymbolColumns {
  const kept = object.symbols.filter((symbol) => isCoreSymbol(symbol, layout.core, layout.perCpu));
  const values = kept.map(valueOf);
  const letters = kept.map((symbol, i) => {
    const letter = letterOf(symbol, object.sections, layout.perCpu);
    return exported.get(symbol.name) === values[i] ? letter.toUpperCase() : letter;
  });
  return {
    names: kept.map((symbol) => symbol.name),
    types: letters.join(''),
    addresses: BigUint64Array.from(values),
  };
}

/** nm's letter as the kernel has it for a module's symbol (elf_type() in kernel/module/kallsyms.c). */
function letterOf(symbol: ElfSymbol, sections: readonly Section[], perCpu: Section | undefined): string {
  if (symbol.binding === STB_WEAK) return symbol.type === STT_OBJECT ? 'v' : 'w';
  const section = typeof symbol.place === 'number' ? sections[symbol.place] : undefined;
  if (section === undefined || section === perCpu) return 'a';
  if ((section.flags & SHF_EXECINSTR) !== 0) return 't';
  if (section.type === SHT_NOBITS) return 'b';
  if ((section.flags & SHF_ALLOC) === 0) return '?';
  return (section.flags & SHF_WRITE) === 0 ? 'r' : 'd';
}
