/**
 * Links objects into a module that the kernel's own loader accepts.
 *
 * An ordinary linker would leave references to the kernel undefined, for the loader to resolve by
 * exported name. Ours are already resolved, by what matching found: each becomes an absolute symbol,
 * which the loader leaves alone (simplify_symbols() skips SHN_ABS), so nothing has to be exported. The
 * absolute symbols have no names: a second symbol `foo` in a module would make kprobe events on `foo`
 * ambiguous, and fail. For the same reason functions get a suffix.
 *
 * The loader then does for the replacement code what it does for any module: alternatives, paravirt,
 * retpolines, return thunks, ftrace, jump labels, ORC, bug and exception tables.
 *
 * The result holds addresses of this boot: it is valid for no other, and tells KASLR's secret. A module that was
 * linked at rest (link-livepatch.ts) has none: its references are found by the kernel, by export or by livepatch.
 */
import { InternalError, RefusedError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_NOTE,
  SHT_PROGBITS,
  STB_GLOBAL,
  STB_LOCAL,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STT_SECTION,
} from '../elf/constants.ts';
import type { RelocationImage, SectionImage, SymbolImage } from '../elf/image.ts';
import type { ElfSymbol, ObjectFile, Section, SectionIndex, SymbolIndex } from '../elf/model.ts';
import { writeObject } from '../elf/write-object.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import { outputSectionName } from './output-section.ts';
import { checkReach, fieldBytes, kernelBounds } from './reach.ts';

/** A symbol of one of the objects that are linked together. */
export interface LinkedSymbol {
  /** Position in the list of objects. */
  readonly object: number;
  readonly symbol: SymbolIndex;
}

/**
 * A symbol of the kernel that its livepatch looks up when the module is loaded, by name and position
 * (Documentation/livepatch/module-elf-format.rst).
 */
export interface LivepatchSymbol {
  /** `vmlinux`, or the module that has it. */
  readonly object: string;
  readonly name: string;
  /** From 1, among the object's symbols of this name; 0 if it is the only one. */
  readonly position: number;
  /** Where it is now. */
  readonly address: Address;
  /** The object with which references to it are bound: `vmlinux`, when the module is loaded; or a module. */
  readonly boundWith: string;
}

/** A symbol that the kernel exports to modules: its own loader finds it, by name. */
export interface ExportedSymbol {
  readonly exported: string;
}

export interface LinkObject {
  readonly object: ObjectFile;
  /** Compiled as a module's own, so it brings .modinfo and struct module. */
  readonly isModuleObject: boolean;
  /**
   * Where an undefined symbol is: an address in the kernel, a symbol of another object, or an address that
   * is filled in later (`bindSymbols`), by the kernel's livepatch, or by its loader.
   */
  readonly resolve: (name: string) => Address | LinkedSymbol | LivepatchSymbol | ExportedSymbol | 'later';
}

export interface ModuleInput {
  readonly objects: readonly LinkObject[];
  /** Appended to the name of every function, `.ksplice_ID`; empty for none. */
  readonly functionSuffix: string;
  /** A function that the module's code begins with. */
  readonly first?: LinkedSymbol;
}

interface Piece {
  readonly section: Section;
  readonly object: number;
  readonly offset: number;
}

interface OutputSection {
  readonly name: string;
  readonly pieces: Piece[];
  size: number;
  flags: number;
  alignment: number;
  entrySize: number;
  isNobits: boolean;
  isNote: boolean;
}

const KEPT_FLAGS = SHF_ALLOC | SHF_EXECINSTR | SHF_WRITE;

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Lays the input sections out, each whole, in the order of the objects. */
class Layout {
  readonly sections: OutputSection[] = [];
  readonly #places = new Map<string, { readonly output: number; readonly offset: number }>();

  add(object: number, section: Section, name: string): void {
    let output = this.sections.findIndex((each) => each.name === name);
    if (output === -1) {
      const isNobits = section.type === SHT_NOBITS;
      output = this.sections.push({
        name,
        pieces: [],
        size: 0,
        flags: 0,
        alignment: 1,
        entrySize: 0,
        isNobits,
        isNote: section.type === SHT_NOTE,
      });
      output -= 1;
    }
    const target = this.sections[output];
    if (target === undefined) return;
    const alignment = Math.max(section.alignment, 1);
    const offset = alignUp(target.size, alignment);
    target.pieces.push({ section, object, offset });
    target.size = offset + section.size;
    target.alignment = Math.max(target.alignment, alignment);
    target.entrySize = section.entrySize;
    // Constants that gcc put into a writable section, for their relocations, are constants here.
    const flags = name === '.rodata' ? SHF_ALLOC : section.flags & KEPT_FLAGS;
    target.flags |= flags;
    target.isNobits &&= section.type === SHT_NOBITS;
    this.#places.set(`${object}:${section.index}`, { output, offset });
  }

  placeOf(
    object: number,
    section: SectionIndex,
  ): { readonly output: number; readonly offset: number } | undefined {
    return this.#places.get(`${object}:${section}`);
  }
}

/** Numbers the module's symbols as they are needed. */
class SymbolNumbers {
  readonly symbols: SymbolImage[] = [];
  readonly #input: ModuleInput;
  readonly #layout: Layout;
  readonly #known = new Map<string, number>();

  constructor(input: ModuleInput, layout: Layout) {
    this.#input = input;
    this.#layout = layout;
  }

  #add(key: string, symbol: SymbolImage): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const number = this.symbols.push(symbol) - 1;
    this.#known.set(key, number);
    return number;
  }

  /** The section symbol of an output section. */
  section(output: number): number {
    return this.#add(`section ${output}`, {
      name: '',
      value: 0n,
      size: 0,
      binding: STB_LOCAL,
      type: STT_SECTION,
      visibility: 0,
      place: output,
    });
  }

  absolute(address: Address): number {
    return this.#add(`absolute ${address}`, {
      name: '',
      value: address,
      size: 0,
      binding: STB_LOCAL,
      type: STT_NOTYPE,
      visibility: 0,
      place: 'absolute',
    });
  }

  /** Found by the kernel's livepatch; global, as what it knows of other livepatch modules. */
  livepatch({ object, name, position }: LivepatchSymbol): number {
    const symbol = `.klp.sym.${object}.${name},${position}`;
    return this.#add(symbol, {
      name: symbol,
      value: 0n,
      size: 0,
      binding: STB_GLOBAL,
      type: STT_NOTYPE,
      visibility: 0,
      place: 'livepatch',
    });
  }

  /** Undefined, with its name: the only one that has to be global. */
  later(name: string): number {
    return this.#add(`later ${name}`, {
      name,
      value: 0n,
      size: 0,
      binding: STB_GLOBAL,
      type: STT_NOTYPE,
      visibility: 0,
      place: 'undefined',
    });
  }

  /** A symbol that an object defines. */
  defined(object: number, symbol: ElfSymbol): number {
    const input = this.#input.objects[object];
    const place = typeof symbol.place === 'number' ? this.#layout.placeOf(object, symbol.place) : undefined;
    if (input === undefined || place === undefined) {
      const path = input?.object.path ?? '?';
      throw new InternalError('unexpected', `${path}: ${symbol.name}: refers to a section that was left out`);
    }
    const suffix = symbol.type === STT_FUNC && !input.isModuleObject ? this.#input.functionSuffix : '';
    return this.#add(`symbol ${object}:${symbol.index}`, {
      name: symbol.name === '' ? '' : symbol.name + suffix,
      value: symbol.value + BigInt(place.offset),
      size: symbol.size,
      binding: STB_LOCAL,
      type: symbol.type,
      visibility: 0,
      place: place.output,
    });
  }
}

interface Target {
  readonly number: number;
  readonly addend: number;
  /** Where it may be; empty for a symbol of the module. */
  readonly addresses: readonly Address[];
  /** The object with which the kernel's livepatch binds it, if that does. */
  readonly boundWith?: string;
}

function targetOf(
  input: ModuleInput,
  layout: Layout,
  numbers: SymbolNumbers,
  object: number,
  index: SymbolIndex,
): Target {
  const from = input.objects[object];
  const symbol = from?.object.symbols[index];
  if (from === undefined || symbol === undefined) {
    throw new InternalError('unexpected', `object ${object} has no symbol ${index}`);
  }
  if (symbol.place === 'absolute') {
    const address = toAddress(symbol.value);
    return { number: numbers.absolute(address), addend: 0, addresses: [address] };
  }
  if (symbol.place === 'common') {
    throw new RefusedError('refused', `${from.object.path}: ${symbol.name}: a common symbol has no place`);
  }
  if (symbol.place === 'undefined') {
    const found = from.resolve(symbol.name);
    if (found === 'later') return { number: numbers.later(symbol.name), addend: 0, addresses: kernelBounds };
    if (typeof found === 'object' && 'exported' in found) {
      return { number: numbers.later(found.exported), addend: 0, addresses: kernelBounds };
    }
    if (typeof found === 'bigint') {
      return { number: numbers.absolute(found), addend: 0, addresses: [found] };
    }
    if ('boundWith' in found) {
      const { address, boundWith } = found;
      return { number: numbers.livepatch(found), addend: 0, addresses: [address], boundWith };
    }
    return targetOf(input, layout, numbers, found.object, found.symbol);
  }
  if (symbol.type === STT_SECTION) {
    const place = layout.placeOf(object, symbol.place);
    const name = from.object.sections[symbol.place]?.name ?? '?';
    if (place === undefined) {
      throw new InternalError('unexpected', `${from.object.path}: ${name}: referred to, but left out`);
    }
    return { number: numbers.section(place.output), addend: place.offset, addresses: [] };
  }
  return { number: numbers.defined(object, symbol), addend: 0, addresses: [] };
}

function relocatePiece(
  input: ModuleInput,
  layout: Layout,
  numbers: SymbolNumbers,
  piece: Piece,
  contents: Uint8Array,
): readonly RelocationImage[] {
  const path = input.objects[piece.object]?.object.path ?? '?';
  return piece.section.relocations.map((relocation) => {
    const where = `${path}: ${piece.section.name}+${hex(relocation.offset)}`;
    const target = targetOf(input, layout, numbers, piece.object, relocation.symbol);
    for (const address of target.addresses) checkReach(where, relocation.type, address, relocation.addend);
    const offset = piece.offset + relocation.offset;
    // The loader refuses a field that is not zero before it is relocated.
    contents.fill(0, offset, offset + fieldBytes(relocation.type));
    return {
      offset,
      type: relocation.type,
      symbol: target.number,
      addend: relocation.addend + target.addend,
      ...(target.boundWith === undefined ? {} : { livepatch: target.boundWith }),
    };
  });
}

function sectionImage(
  input: ModuleInput,
  layout: Layout,
  numbers: SymbolNumbers,
  output: OutputSection,
): SectionImage {
  const common = { name: output.name, flags: output.flags, alignment: output.alignment };
  if (output.isNobits) {
    return { ...common, type: SHT_NOBITS, entrySize: 0, contents: output.size, relocations: [] };
  }
  const contents = new Uint8Array(output.size);
  // What lies between functions is never executed; an INT3 there says so if it is.
  if ((output.flags & SHF_EXECINSTR) !== 0) contents.fill(0xcc);
  const relocations: RelocationImage[] = [];
  for (const piece of output.pieces) {
    contents.set(piece.section.data, piece.offset);
    relocations.push(...relocatePiece(input, layout, numbers, piece, contents));
  }
  const type = output.isNote ? SHT_NOTE : SHT_PROGBITS;
  return { ...common, type, entrySize: output.entrySize, contents, relocations };
}

/** Functions and objects keep their symbols: backtraces and `perf` show them. */
function nameSymbols(input: ModuleInput, layout: Layout, numbers: SymbolNumbers): void {
  input.objects.forEach(({ object }, number) => {
    for (const symbol of object.symbols) {
      if (symbol.type !== STT_FUNC && symbol.type !== STT_OBJECT) continue;
      if (typeof symbol.place !== 'number' || layout.placeOf(number, symbol.place) === undefined) continue;
      numbers.defined(number, symbol);
    }
  });
}

export interface ModuleImage {
  readonly bytes: Uint8Array;
  /** Where a symbol is: its section, and the offset in it. */
  readonly placeOf: (name: string) => { readonly section: string; readonly offset: bigint } | undefined;
}

function hasObject({ symbols }: ObjectFile, { index }: Section): boolean {
  return symbols.some(({ place, type }) => place === index && type === STT_OBJECT);
}

/** Errors: InternalError out of reach, RefusedError for what the loader cannot take. */
export function linkModule(input: ModuleInput): ModuleImage {
  const layout = new Layout();
  const { first } = input;
  const start = first === undefined ? undefined : input.objects[first.object]?.object.symbols[first.symbol];
  const add = (number: number, section: Section): void => {
    const from = input.objects[number];
    if (from === undefined || (section.flags & SHF_ALLOC) === 0) return;
    // An object of no bytes has an address all the same: `struct lock_class_key` without lockdep.
    if (section.size === 0 && !hasObject(from.object, section)) return;
    const name = outputSectionName(from.object.path, section, from.isModuleObject);
    if (name !== undefined) layout.add(number, section, name);
  };
  const isFirst = (number: number, { index }: Section): boolean =>
    number === first?.object && index === start?.place;
  for (const wanted of [true, false]) {
    input.objects.forEach(({ object }, number) => {
      for (const section of object.sections) if (isFirst(number, section) === wanted) add(number, section);
    });
  }
  const numbers = new SymbolNumbers(input, layout);
  nameSymbols(input, layout, numbers);
  const sections = layout.sections.map((output) => sectionImage(input, layout, numbers, output));
  const { symbols } = numbers;
  return {
    bytes: writeObject({ sections, symbols }),
    placeOf: (name) => {
      const symbol = symbols.find((each) => each.name === name);
      const section = typeof symbol?.place === 'number' ? sections[symbol.place] : undefined;
      if (symbol === undefined || section === undefined) return undefined;
      return { section: section.name, offset: symbol.value };
    },
  };
}
