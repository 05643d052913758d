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
  SHT_NOBITS,
  SHT_NOTE,
  SHT_PROGBITS,
  STT_FUNC,
  STT_OBJECT,
  STT_SECTION,
} from '../elf/constants.ts';
import type { RelocationImage, SectionImage } from '../elf/image.ts';
import type { ObjectFile, Section, SymbolIndex } from '../elf/model.ts';
import { writeObject } from '../elf/write-object.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import type { ModuleInput } from './link-object.ts';
import { ModuleLayout, type OutputSection, type Piece } from './module-layout.ts';
import { ModuleSymbols } from './module-symbols.ts';
import { outputSectionName } from './output-section.ts';
import { checkReach, fieldBytes, kernelBounds } from './reach.ts';

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
  layout: ModuleLayout,
  numbers: ModuleSymbols,
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
  layout: ModuleLayout,
  numbers: ModuleSymbols,
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
  layout: ModuleLayout,
  numbers: ModuleSymbols,
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
function nameSymbols(input: ModuleInput, layout: ModuleLayout, numbers: ModuleSymbols): void {
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
  const layout = new ModuleLayout();
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
  const numbers = new ModuleSymbols(input, layout);
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
