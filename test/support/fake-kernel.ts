/**
 * A kernel made of objects, for tests of what reads live memory: laid out at chosen addresses as ld would,
 * booted as 6.1 would (arch/x86/kernel/alternative.c and its neighbours), with the kallsyms that result.
 *
 *     const kernel = new FakeKernel();
 *     kernel.define('printk', 0xffffffff81e00000n);
 *     const unit = kernel.load(object, { '.text': 0xffffffff81000000n }, { returns: 'plain' });
 *     kernel.write(unit.base('.text'), [0xcc]);
 *
 * It knows the rewriting from the kernel's side: what is written where. What may be found there is the
 * business of the code under test.
 */
import { MatchError } from '../../src/diagnostics/error.ts';
import { hex } from '../../src/diagnostics/hex.ts';
import {
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  STB_LOCAL,
  STB_WEAK,
  STT_FUNC,
  STT_OBJECT,
  STT_SECTION,
} from '../../src/elf/constants.ts';
import type { ElfSymbol, ObjectFile, Relocation, Section, SectionIndex } from '../../src/elf/model.ts';
import { type Address, addressAt, toAddress } from '../../src/kernel/address.ts';
import type { Kernel, KernelSymbol, LoadedModule } from '../../src/kernel/kernel.ts';
import type { RewrittenPlace } from '../../src/kernel/tables/rewritten-place.ts';
import { rewrittenPlaces } from '../../src/kernel/tables/rewritten-places.ts';
import { gatherTables, type Loaded } from './gathered-tables.ts';
import { type Boot, rewritten } from './kernel-boot.ts';
import { bytesOf32 } from './kernel-code.ts';

const PAGE_SIZE = 0x1000;
const PADDING = 64;
/** Enough for whatever a test loads. */
const MODULE_SIZE = 0x1000000;

export interface LoadedObject {
  readonly base: (section: string) => Address;
  /** Run address of a symbol, or of an offset from it. */
  readonly at: (symbol: string, offset?: number) => Address;
}

interface Region {
  readonly start: bigint;
  readonly bytes: Uint8Array;
}

export class FakeKernel implements Kernel {
  readonly release = '6.1.0-fake';
  /** Not, for one that is loaded but has not booted. */
  isRunning = true;
  readonly loadedModules: LoadedModule[] = [];
  /** Names asked for before matching, in order. */
  readonly prefetched: string[] = [];
  readonly #regions: Region[] = [];
  readonly #symbols: KernelSymbol[] = [];
  readonly #loaded: Loaded[] = [];
  /** By module. */
  readonly #sections = new Map<string, ReadonlyMap<string, Address>>();
  readonly #first = {
    text: 0xffffffff81000000n,
    data: 0xffffffff82000000n,
    percpu: 0x1c000n,
    thunk: 0xffffffffc0900020n,
  };
  #next = this.#first;

  read(at: Address, size: number): Uint8Array {
    return Uint8Array.from(this.#slice(at, size));
  }

  /** Overwrites memory, as whoever has no business there. */
  write(at: bigint, bytes: readonly number[]): void {
    this.#slice(at, bytes.length).set(bytes);
  }

  /** Memory that holds these bytes. */
  map(start: bigint, bytes: readonly number[] | Uint8Array): Address {
    this.#regions.push({ start, bytes: Uint8Array.from(bytes) });
    return toAddress(start);
  }

  /** A pointer in memory, under a name. */
  pointer(name: string, start: bigint, value: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    this.map(start, bytes);
    this.define(name, start, 'D');
  }

  /** A line of kallsyms. */
  define(name: string, address: bigint, type = 'T', module?: string): Address {
    this.#symbols.push({ name, address: toAddress(address), type, module });
    return toAddress(address);
  }

  /** A symbol of a module, with its letter in kallsyms, that the module exports: its entry goes to `entry`. */
  exported(name: string, address: bigint, entry: bigint, module: string, type = 't'): Address {
    const field = Buffer.alloc(12);
    field.writeInt32LE(Number(BigInt.asIntN(64, address - entry)));
    this.map(entry, field);
    this.define(`__ksymtab_${name}`, entry, 'r', module);
    return this.define(name, address, type, module);
  }

  /** Removes every line of this name. */
  forget(name: string): void {
    const kept = this.#symbols.filter((each) => each.name !== name);
    if (kept.length === this.#symbols.length) throw new Error(`kallsyms has no ${name}`);
    this.#symbols.splice(0, this.#symbols.length, ...kept);
  }

  prefetch(names: Iterable<string>): void {
    this.prefetched.push(...names);
  }

  named(name: string, module?: string): readonly KernelSymbol[] {
    return this.#symbols.filter((each) => each.name === name && each.module === module);
  }

  everywhere(name: string): readonly KernelSymbol[] {
    return this.#symbols.filter((each) => each.name === name);
  }

  symbols(): readonly KernelSymbol[] {
    return this.#symbols;
  }

  refresh(): void {
    // Nothing is remembered.
  }

  describe(at: Address): string | undefined {
    return this.#symbols.find((each) => each.address === at)?.name;
  }

  modules(): readonly LoadedModule[] {
    const made = [...this.#sections.keys()].map((name): LoadedModule => {
      return { name, base: toAddress(this.#first.data), size: MODULE_SIZE, live: true };
    });
    return [...this.loadedModules, ...made];
  }

  /** Of a module, only its tables. */
  sectionsOf(module: string): ReadonlyMap<string, Address> {
    return this.#sections.get(module) ?? new Map();
  }

  /** Lays an object out, links it with what is defined so far, and boots. Sections without a base get one. */
  load(object: ObjectFile, bases: Readonly<Record<string, bigint>> = {}, boot: Boot = {}): LoadedObject {
    const placed = this.#layOut(object, bases);
    this.#define(object, placed, boot.module);
    for (const [section, base] of placed) {
      for (const relocation of object.sections[section]?.relocations ?? []) {
        this.#relocate(object, placed, base, relocation);
      }
    }
    this.#loaded.push({ object, placed, module: boot.module });
    this.#gatherTables(boot.module);
    if (this.isRunning) this.#boot(object, placed, boot);
    const base = (name: string): Address => {
      const section = object.sections.find((each) => each.name === name);
      const found = section === undefined ? undefined : placed.get(section.index);
      if (found === undefined) throw new Error(`${name} was not laid out`);
      return found;
    };
    return {
      base,
      at: (name, offset = 0) => {
        const symbol = object.symbols.find((each) => each.name === name && typeof each.place === 'number');
        const section = typeof symbol?.place === 'number' ? placed.get(symbol.place) : undefined;
        if (symbol === undefined || section === undefined) throw new Error(`${name} was not laid out`);
        return addressAt(section, symbol.value + BigInt(offset));
      },
    };
  }

  #slice(at: bigint, size: number): Uint8Array {
    const found = this.#regions.find(
      ({ start, bytes }) => start <= at && at + BigInt(size) <= start + BigInt(bytes.length),
    );
    if (found === undefined) {
      throw new MatchError('no_match', `${hex(at)}: no kernel memory of ${hex(size)} bytes there`);
    }
    const from = Number(at - found.start);
    return found.bytes.subarray(from, from + size);
  }

  #layOut(object: ObjectFile, bases: Readonly<Record<string, bigint>>): ReadonlyMap<SectionIndex, Address> {
    const placed = new Map<SectionIndex, Address>();
    for (const section of object.sections) {
      // Strings and constants are merged: each goes where it is first needed.
      if ((section.flags & SHF_ALLOC) === 0 || section.size === 0) continue;
      if ((section.flags & SHF_MERGE) !== 0) continue;
      const kind = section.name.startsWith('.data..percpu')
        ? 'percpu'
        : (section.flags & SHF_EXECINSTR) !== 0
          ? 'text'
          : 'data';
      const base = bases[section.name] ?? this.#next[kind];
      if (bases[section.name] === undefined) {
        this.#next = { ...this.#next, [kind]: base + BigInt((section.size + 0xfff) & ~0xfff) };
      }
      const bytes = new Uint8Array(section.size);
      bytes.set(section.data);
      placed.set(section.index, this.map(base, bytes));
    }
    return placed;
  }

  /** kallsyms of the object; without a weak symbol that is defined already. */
  #define(object: ObjectFile, placed: ReadonlyMap<SectionIndex, Address>, module: string | undefined): void {
    for (const symbol of object.symbols) {
      const base = typeof symbol.place === 'number' ? placed.get(symbol.place) : undefined;
      if (base === undefined || symbol.name === '') continue;
      if (symbol.type !== STT_FUNC && symbol.type !== STT_OBJECT) continue;
      const isWeak = symbol.binding === STB_WEAK;
      if (isWeak && this.named(symbol.name, module).length > 0) continue;
      const letter = symbol.type === STT_FUNC ? 't' : 'd';
      const type = symbol.binding === STB_LOCAL ? letter : isWeak ? 'W' : letter.toUpperCase();
      this.define(symbol.name, addressAt(base, symbol.value), type, module);
    }
  }

  /** S + A. */
  #value(object: ObjectFile, placed: ReadonlyMap<SectionIndex, Address>, relocation: Relocation): bigint {
    const symbol = object.symbols[relocation.symbol];
    if (symbol === undefined) throw new Error(`no symbol ${relocation.symbol}`);
    const addend = BigInt(relocation.addend);
    const section = typeof symbol.place === 'number' ? object.sections[symbol.place] : undefined;
    if (section === undefined) return this.#external(symbol.name) + addend;
    if ((section.flags & SHF_MERGE) !== 0) return this.#merged(symbol, section, relocation);
    if (symbol.binding !== STB_LOCAL) return this.#external(symbol.name) + addend;
    const base = placed.get(section.index);
    // Tables refer to sections that are gone after boot.
    return base === undefined ? addend : base + symbol.value + addend;
  }

  /** Every table of the kernel proper, or of a module, anew. */
  #gatherTables(module: string | undefined): void {
    const tables = gatherTables(
      this.#loaded.filter((each) => each.module === module),
      {
        isRunning: this.isRunning,
        mapZeros: (size) => this.#mapNext(new Uint8Array(Math.max(size, PAGE_SIZE))),
        read: (at, size) => this.read(at, size),
        write: (at, bytes) => {
          this.write(at, bytes);
        },
        value: ({ object, placed }, relocation) => this.#value(object, placed, relocation),
        relocate: ({ object, placed }, base, relocation) => {
          this.#relocate(object, placed, base, relocation);
        },
      },
    );
    if (module !== undefined) {
      // Behind each table there is padding, and then what no test looks at.
      const sections = tables.flatMap(({ section, start, end }): [string, Address][] => [
        [section, start],
        [`behind ${section}`, addressAt(end, PADDING)],
      ]);
      this.#sections.set(module, new Map(sections));
      return;
    }
    for (const { bounds, start, end } of tables) {
      this.#redefine(`__start_${bounds}`, start);
      this.#redefine(`__stop_${bounds}`, end);
    }
  }

  #redefine(name: string, at: Address): void {
    if (this.named(name).length > 0) this.forget(name);
    this.define(name, at, 'd');
  }

  #external(name: string): bigint {
    const [found] = this.everywhere(name);
    if (found === undefined) throw new Error(`undefined reference to ${name}`);
    return found.address;
  }

  /** Merged with an equal string of another unit, at the end of a longer one. */
  #merged(symbol: ElfSymbol, section: Section, relocation: Relocation): bigint {
    const isLabel = symbol.type !== STT_SECTION;
    const offset = Number(symbol.value) + (isLabel ? 0 : relocation.addend);
    const isString = (section.flags & SHF_STRINGS) !== 0;
    const end = isString ? section.data.indexOf(0, offset) + 1 : offset + section.entrySize;
    const prefix = isString ? [...Buffer.from('a longer ')] : Array.from({ length: 16 }, () => 0xee);
    const start = this.#mapNext([...prefix, ...section.data.subarray(offset, end)]);
    return start + BigInt(prefix.length) + (isLabel ? BigInt(relocation.addend) : 0n);
  }

  #relocate(
    object: ObjectFile,
    placed: ReadonlyMap<SectionIndex, Address>,
    base: Address,
    relocation: Relocation,
  ): void {
    const place = addressAt(base, relocation.offset);
    const value = this.#value(object, placed, relocation);
    const isRelative = [R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PC64].includes(relocation.type);
    const field = isRelative ? value - place : value;
    if (relocation.type === R_X86_64_64 || relocation.type === R_X86_64_PC64) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(BigInt.asIntN(64, field));
      this.write(place, [...bytes]);
    } else {
      this.write(place, bytesOf32(field));
    }
  }

  #boot(object: ObjectFile, placed: ReadonlyMap<SectionIndex, Address>, boot: Boot): void {
    const places = rewrittenPlaces(object);
    const order: readonly RewrittenPlace['kind'][] = [
      'paravirt',
      'retpoline',
      'return',
      'alternative',
      'smp-lock',
      'jump-label',
      'static-call',
      'fentry',
    ];
    for (const kind of order) {
      for (const place of places.filter((each) => each.kind === kind)) {
        const base = placed.get(place.section);
        if (base === undefined) continue;
        const at = addressAt(base, place.offset);
        const bytes = rewritten(object, place, at, boot, {
          read: (from, size) => this.read(from, size),
          external: (name) => this.#external(name),
          pointerAt: (name, offset) => this.#pointerAt(name, offset),
          value: (relocation) => this.#value(object, placed, relocation),
          mapThunk: (thunk) => this.#mapThunk(thunk),
          returnsZero: (target) =>
            this.named('__static_call_return0').some((each) => each.address === target),
        });
        if (bytes.length > 0) this.write(at, bytes);
      }
    }
  }

  /** its_allocate_thunk(): in the upper half of a cache line, among modules. */
  #mapThunk(bytes: readonly number[]): Address {
    const start = this.#next.thunk;
    this.#next = { ...this.#next, thunk: start + 64n };
    return this.map(start, bytes);
  }

  #mapNext(bytes: readonly number[] | Uint8Array): Address {
    const start = this.#next.data;
    const pages = BigInt(Math.ceil(Math.max(bytes.length, 1) / PAGE_SIZE));
    this.#next = { ...this.#next, data: start + pages * BigInt(PAGE_SIZE) };
    return this.map(start, bytes);
  }

  #pointerAt(name: string, offset = 0): bigint {
    const bytes = this.read(toAddress(this.#external(name) + BigInt(offset)), 8);
    return Buffer.from(bytes).readBigUInt64LE();
  }
}
