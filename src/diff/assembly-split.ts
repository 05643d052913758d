/**
 * Makes of an assembled object what the compiler makes with -ffunction-sections: a section for each
 * function, so that its bytes do not depend on its neighbours, and every reference between two of them has
 * a relocation. All later passes work on it as on an object from C.
 *
 * It is compared and extracted, never matched: what the kernel has in memory is the object as it was assembled.
 */
import { FormatError, InternalError } from '../diagnostics/error.ts';
import {
  R_X86_64_NONE,
  R_X86_64_PC32,
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_GROUP,
  SHF_INFO_LINK,
  SHF_LINK_ORDER,
  SHT_GROUP,
  SHT_NOBITS,
  SHT_NULL,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  STB_LOCAL,
  STT_FUNC,
  STT_SECTION,
  STV_DEFAULT,
} from '../elf/constants.ts';
import type { RelocationImage, SectionImage, SymbolImage } from '../elf/image.ts';
import { symbolIndex } from '../elf/indices.ts';
import type { ElfSymbol, ObjectFile, Relocation, Section, SectionIndex } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { writeObject } from '../elf/write-object.ts';
import { classifySection } from '../kernel/tables/classify-section.ts';
import { orcUnwind, orcUnwindIp } from '../kernel/tables/orc.ts';
import { decodeText, instructionAt, type TextInstruction } from '../x86/decode-text.ts';
import { layoutSlice, movedOffset, type SliceLayout } from './assembly-layout.ts';
import { NO_STATE, stateAt, type UnwindState, unwindStates } from './assembly-orc.ts';
import { type CodeSlice, codeSlices } from './assembly-slices.ts';
import { isTextClass } from './read-items.ts';
import { pcRelative } from './read-unit.ts';

export interface SplitObject {
  readonly object: ObjectFile;
  /** By function: why it cannot be moved, in sentences without its name. */
  readonly obstacles: ReadonlyMap<string, readonly string[]>;
}

const ofTheFile: ReadonlySet<number> = new Set([
  SHT_NULL,
  SHT_SYMTAB,
  SHT_STRTAB,
  SHT_RELA,
  SHT_REL,
  SHT_GROUP,
  SHT_SYMTAB_SHNDX,
]);

/** Numbers of the sections and symbols of the new object, known before any is made. */
interface Plan {
  readonly object: ObjectFile;
  /** Of the sections with code, in their order. */
  readonly layouts: ReadonlyMap<SectionIndex, readonly SliceLayout[]>;
  /** Sections that stay as they are, by what they have been. */
  readonly whole: ReadonlyMap<SectionIndex, number>;
  readonly moved: ReadonlyMap<SliceLayout, number>;
  /** Position of each symbol that is kept; a section's symbol has the section's position. */
  readonly symbols: ReadonlyMap<number, number>;
}

/** Code without any function is taken as one, which has the section's name and cannot be moved. */
function slicesOf(object: ObjectFile, section: Section): readonly CodeSlice[] {
  const slices = codeSlices(object, section);
  if (slices.length > 0) return slices;
  const symbol: ElfSymbol = {
    index: symbolIndex(0),
    name: section.name,
    value: 0n,
    size: section.size,
    binding: STB_LOCAL,
    type: STT_FUNC,
    visibility: STV_DEFAULT,
    place: section.index,
  };
  return [{ section, symbols: [symbol], start: 0, entry: 0, end: section.size }];
}

/** Names that other units may know of places in the middle of a slice. */
function entriesInto(object: ObjectFile, slice: CodeSlice): readonly string[] {
  return object.symbols
    .filter(
      ({ place, binding, value }) =>
        place === slice.section.index &&
        binding !== STB_LOCAL &&
        Number(value) !== slice.entry &&
        Number(value) >= slice.start &&
        Number(value) < slice.end,
    )
    .map(({ name }) => name);
}

function makePlan(object: ObjectFile): Plan {
  const kept = object.sections.filter(
    ({ type, name }) =>
      !ofTheFile.has(type) &&
      !name.startsWith('.debug') &&
      name !== orcUnwind.section &&
      name !== orcUnwindIp.section,
  );
  const layouts = new Map<SectionIndex, readonly SliceLayout[]>();
  const whole = new Map<SectionIndex, number>();
  const moved = new Map<SliceLayout, number>();
  for (const section of kept) {
    const next = whole.size + moved.size;
    if (!isTextClass(classifySection(section)) || section.size === 0) {
      whole.set(section.index, next);
      continue;
    }
    const slices = slicesOf(object, section);
    const list = slices.map((slice) => layoutSlice(slice, slices, entriesInto(object, slice)));
    for (const [index, layout] of list.entries()) moved.set(layout, next + index);
    layouts.set(section.index, list);
  }
  const symbols = new Map<number, number>();
  let position = whole.size + moved.size;
  for (const symbol of object.symbols.slice(1)) {
    const isKept = typeof symbol.place !== 'number' || whole.has(symbol.place) || layouts.has(symbol.place);
    if (symbol.type === STT_SECTION || !isKept) continue;
    symbols.set(symbol.index, position);
    position += 1;
  }
  return { object, layouts, whole, moved, symbols };
}

function layoutAt(layouts: readonly SliceLayout[], offset: number): SliceLayout {
  const found = layouts.findLast(({ slice }) => slice.start <= offset) ?? layouts[0];
  if (found === undefined) throw new InternalError('unexpected', 'a section of code without a slice');
  return found;
}

/** Section and offset in the new object of a place in the old one. */
function placeIn(plan: Plan, section: SectionIndex, offset: number): { section: number; offset: number } {
  const layouts = plan.layouts.get(section);
  if (layouts === undefined) {
    const position = plan.whole.get(section);
    if (position === undefined) throw notKept(plan.object, section);
    return { section: position, offset };
  }
  const layout = layoutAt(layouts, offset);
  return { section: plan.moved.get(layout) ?? 0, offset: movedOffset(layout, offset) };
}

function notKept({ path, sections }: ObjectFile, section: SectionIndex): FormatError {
  return new FormatError(
    'malformed_object',
    `${path}: a reference to ${sections[section]?.name ?? section}, which is not part of the code`,
  );
}

/** Bytes from a PC-relative field to the end of its instruction: they are in its addend. */
function trailingOf(instructions: readonly TextInstruction[], relocation: Relocation): number {
  if (!pcRelative.has(relocation.type)) return 0;
  const instruction = instructionAt(instructions, relocation.offset);
  return instruction === undefined ? 0 : instruction.offset + instruction.length - relocation.offset;
}

/** The symbol and addend by which the new object names what a relocation named. */
function renamed(
  plan: Plan,
  relocation: Relocation,
  trailing: number,
): Pick<RelocationImage, 'symbol' | 'addend'> {
  const { object, symbols, layouts } = plan;
  const symbol = object.symbols[relocation.symbol];
  const { addend } = relocation;
  if (symbol === undefined) throw new InternalError('unexpected', `${object.path}: no such symbol`);
  const known = symbols.get(symbol.index);
  if (typeof symbol.place !== 'number') return { symbol: known ?? 0, addend };
  const offset = Number(symbol.value) + addend + trailing;
  const list = layouts.get(symbol.place);
  const staysTogether = list === undefined || layoutAt(list, offset) === layoutAt(list, Number(symbol.value));
  if (known !== undefined && staysTogether) return { symbol: known, addend };
  const to = placeIn(plan, symbol.place, offset);
  return { symbol: to.section, addend: to.offset - trailing };
}

function wholeSection(plan: Plan, section: Section): SectionImage {
  // `.altinstr_replacement` and the like: code that is no function.
  const isCode = (section.flags & SHF_EXECINSTR) !== 0 && section.relocations.length > 0;
  const instructions = isCode ? decodeText(section.data) : [];
  return {
    name: section.name,
    type: section.type,
    flags: section.flags & ~(SHF_GROUP | SHF_LINK_ORDER | SHF_INFO_LINK),
    alignment: section.alignment,
    entrySize: section.entrySize,
    contents: section.type === SHT_NOBITS ? section.size : section.data,
    relocations: section.relocations
      .filter(({ type }) => type !== R_X86_64_NONE)
      .map(({ offset, type, ...rest }) => {
        const relocation = { offset, type, ...rest };
        return { offset, type, ...renamed(plan, relocation, trailingOf(instructions, relocation)) };
      }),
  };
}

function movedRelocations(plan: Plan, layout: SliceLayout): RelocationImage[] {
  const { slice, instructions, before } = layout;
  const own = slice.section.relocations.filter(
    ({ offset, type }) => offset >= slice.start && offset < slice.end && type !== R_X86_64_NONE,
  );
  const kept = own.map((relocation) => {
    const offset = relocation.offset - slice.start;
    const trailing = trailingOf(instructions, { ...relocation, offset });
    return { offset: offset + before, type: relocation.type, ...renamed(plan, relocation, trailing) };
  });
  const near = layout.near.map((exit) => {
    const to = placeIn(plan, slice.section.index, exit.target);
    return {
      offset: exit.field - slice.start + before,
      type: exit.kind === 'branch' ? R_X86_64_PLT32 : R_X86_64_PC32,
      symbol: to.section,
      addend: to.offset - (exit.end - exit.field),
    };
  });
  const jumps = layout.jumps.map((jump) => {
    const to = placeIn(plan, slice.section.index, jump.target);
    return { offset: jump.offset + 1, type: R_X86_64_PLT32, symbol: to.section, addend: to.offset - 4 };
  });
  return [...kept, ...near, ...jumps].sort((a, b) => a.offset - b.offset);
}

function movedSection(plan: Plan, layout: SliceLayout): SectionImage {
  const { slice, before, size } = layout;
  const { section } = slice;
  const contents = new Uint8Array(size).fill(0xcc, 0, before);
  contents.set(section.data.subarray(slice.start, slice.end), before);
  for (const { field, width } of layout.near) {
    contents.fill(0, field - slice.start + before, field - slice.start + before + width);
  }
  for (const { field, distance } of layout.short) contents[field - slice.start + before] = distance & 0xff;
  for (const { offset } of layout.jumps) contents.set([0xe9, 0, 0, 0, 0], offset);
  return {
    name: `${section.name}.${slice.symbols[0].name}`,
    type: section.type,
    flags: section.flags & ~(SHF_GROUP | SHF_LINK_ORDER),
    alignment: section.alignment,
    entrySize: section.entrySize,
    contents,
    relocations: movedRelocations(plan, layout),
  };
}

/** States of a slice by their offset in the new section, from its first byte to a terminator. */
function movedStates(layout: SliceLayout, states: readonly UnwindState[]): readonly UnwindState[] {
  const { slice, before, size, jumps } = layout;
  const first = stateAt(states, slice.start);
  const inside = states.filter(({ offset }) => offset > slice.start && offset < slice.end);
  if (first === undefined && inside.length === 0) return [];
  const added = jumps.flatMap(({ offset, from }) => {
    const bytes = from === undefined ? undefined : stateAt(states, from);
    return bytes === undefined ? [] : [{ offset, bytes }];
  });
  const isFilled = before > 0 && !added.some(({ offset }) => offset === 0);
  return [
    ...(isFilled ? [{ offset: 0, bytes: NO_STATE }] : []),
    ...added.filter(({ offset }) => offset < before),
    ...(first === undefined ? [] : [{ offset: before, bytes: first }]),
    ...inside.map(({ offset, bytes }) => ({ offset: movedOffset(layout, offset), bytes })),
    ...added.filter(({ offset }) => offset >= before),
    { offset: size, bytes: NO_STATE },
  ];
}

/** The two tables of unwind states; none if the object has none. */
function orcSections(plan: Plan): readonly SectionImage[] {
  const states = unwindStates(plan.object);
  if (states.size === 0) return [];
  const entries: Uint8Array[] = [];
  const relocations: RelocationImage[] = [];
  const add = (bytes: Uint8Array, section: number, offset: number): void => {
    relocations.push({ offset: 4 * entries.length, type: R_X86_64_PC32, symbol: section, addend: offset });
    entries.push(bytes);
  };
  for (const [section, list] of states) {
    const layouts = plan.layouts.get(section);
    if (layouts === undefined) {
      for (const { offset, bytes } of list) add(bytes, plan.whole.get(section) ?? 0, offset);
    }
    for (const layout of layouts ?? []) {
      for (const { offset, bytes } of movedStates(layout, list)) {
        add(bytes, plan.moved.get(layout) ?? 0, offset);
      }
    }
  }
  const shape = { type: SHT_PROGBITS, flags: SHF_ALLOC, alignment: 1 };
  const ips = new Uint8Array(4 * entries.length);
  return [
    { ...shape, name: orcUnwind.section, entrySize: 6, contents: Buffer.concat(entries), relocations: [] },
    { ...shape, name: orcUnwindIp.section, entrySize: 4, contents: ips, relocations },
  ];
}

function movedSymbol(plan: Plan, symbol: ElfSymbol): SymbolImage {
  const { name, value, size, binding, type, visibility, place } = symbol;
  const rest = { name, size, binding, type, visibility };
  if (place === 'common') {
    throw new FormatError('malformed_object', `${plan.object.path}: ${name} is a common symbol`);
  }
  if (typeof place !== 'number') return { ...rest, value, place };
  const to = placeIn(plan, place, Number(value));
  return { ...rest, value: BigInt(to.offset), place: to.section };
}

function newSymbols(plan: Plan, count: number): SymbolImage[] {
  const ofSections = Array.from({ length: count }, (_, place) => ({
    name: '',
    value: 0n,
    size: 0,
    binding: STB_LOCAL,
    type: STT_SECTION,
    visibility: STV_DEFAULT,
    place,
  }));
  const kept = plan.object.symbols.filter(({ index }) => plan.symbols.has(index));
  const made = [...plan.moved.keys()].flatMap(({ slice }) =>
    slice.symbols.filter(({ index }) => index === 0),
  );
  return [...ofSections, ...[...kept, ...made].map((symbol) => movedSymbol(plan, symbol))];
}

/** A jump through a table, or an address computed from the start, would mix old code and new. */
function takesOwnAddress(object: ObjectFile, { slice, instructions }: SliceLayout): boolean {
  return slice.section.relocations.some((relocation) => {
    const symbol = object.symbols[relocation.symbol];
    const offset = relocation.offset - slice.start;
    if (offset < 0 || relocation.offset >= slice.end || symbol?.place !== slice.section.index) return false;
    const trailing = trailingOf(instructions, { ...relocation, offset });
    const isBranch = instructionAt(instructions, offset)?.branch !== undefined;
    return !isBranch && Number(symbol.value) + relocation.addend + trailing === slice.entry;
  });
}

/**
 * @param object a unit from assembly, as it was assembled
 * @throws FormatError if its tables contradict each other
 */
export function splitFunctions(object: ObjectFile): SplitObject {
  const plan = makePlan(object);
  const sections = object.sections.flatMap((section) => {
    if (plan.whole.has(section.index)) return [wholeSection(plan, section)];
    return (plan.layouts.get(section.index) ?? []).map((layout) => movedSection(plan, layout));
  });
  const count = sections.length;
  const image = { sections: [...sections, ...orcSections(plan)], symbols: newSymbols(plan, count) };
  const obstacles = [...plan.moved.keys()].map((layout) => {
    const own = takesOwnAddress(object, layout) ? ['takes its own address'] : [];
    return [layout.slice.symbols[0].name, [...layout.obstacles, ...own]] as const;
  });
  return { object: readObject(writeObject(image), object.path), obstacles: new Map(obstacles) };
}
