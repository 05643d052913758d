import {
  R_X86_64_NONE,
  R_X86_64_PC8,
  R_X86_64_PC16,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  relocationFieldSize,
  SHF_EXECINSTR,
} from '../elf/constants.ts';
import type { ObjectFile, Relocation, Section, SectionIndex } from '../elf/model.ts';
import { classifySection, type SectionFacts } from '../kernel/tables/classify-section.ts';
import { decodeText, instructionAt, type TextInstruction } from '../x86/decode-text.ts';
import { isTextClass, readItems } from './read-items.ts';
import type { Reference, ReferencePlace, ReferenceUse, Unit, UnitItem } from './unit.ts';

export const pcRelative: ReadonlySet<number> = new Set([
  R_X86_64_PC8,
  R_X86_64_PC16,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
]);

function placeOf(object: ObjectFile, relocation: Relocation, trailing: number): ReferencePlace {
  const symbol = object.symbols[relocation.symbol];
  const offset = relocation.addend + trailing;
  if (symbol !== undefined && typeof symbol.place === 'number') {
    return { kind: 'place', section: symbol.place, offset: Number(symbol.value) + offset };
  }
  return { kind: 'external', symbol: relocation.symbol, name: symbol?.name ?? '', offset };
}

function useOf(instruction: TextInstruction | undefined, field: number): ReferenceUse {
  if (instruction === undefined) return 'address';
  if (instruction.branch !== undefined) return 'branch';
  const isDisplacement =
    instruction.displacement !== undefined && instruction.offset + instruction.displacement === field;
  return isDisplacement && !instruction.lea ? 'memory' : 'address';
}

function readReference(
  object: ObjectFile,
  instructions: readonly TextInstruction[] | undefined,
  relocation: Relocation,
): Reference {
  const instruction = instructions === undefined ? undefined : instructionAt(instructions, relocation.offset);
  const trailing =
    instruction !== undefined && pcRelative.has(relocation.type)
      ? instruction.offset + instruction.length - relocation.offset
      : 0;
  return {
    offset: relocation.offset,
    width: relocationFieldSize(relocation.type),
    type: relocation.type,
    relocation,
    use: useOf(instruction, relocation.offset),
    trailing,
    to: placeOf(object, relocation, trailing),
  };
}

function sliceAt(items: readonly UnitItem[], offset: number): UnitItem | undefined {
  return items.find((item) => offset >= item.start && offset < item.end);
}

/** Branches between functions of one section, for which the assembler left no relocation. */
function innerBranches(
  section: Section,
  items: readonly UnitItem[],
  instructions: readonly TextInstruction[],
  relocated: ReadonlySet<number>,
): Reference[] {
  const found: Reference[] = [];
  for (const each of instructions) {
    if (each.branch === undefined || each.target === undefined || each.immediate === undefined) continue;
    const offset = each.offset + each.immediate;
    if (relocated.has(offset)) continue;
    const from = sliceAt(items, each.offset);
    if (from === undefined || (each.target >= from.start && each.target < from.end)) continue;
    const width = each.offset + each.length - offset;
    found.push({
      offset,
      width,
      type: width === 4 ? R_X86_64_PLT32 : R_X86_64_PC8,
      relocation: undefined,
      use: 'branch',
      trailing: width,
      to: { kind: 'place', section: section.index, offset: each.target },
    });
  }
  return found;
}

function readReferences(
  object: ObjectFile,
  section: Section,
  items: readonly UnitItem[],
): readonly Reference[] {
  const isText = (section.flags & SHF_EXECINSTR) !== 0;
  const shared = items.length > 1;
  if (section.relocations.length === 0 && !(isText && shared)) return [];
  const instructions = isText ? decodeText(section.data) : undefined;
  const found = section.relocations
    .filter((relocation) => relocation.type !== R_X86_64_NONE)
    .map((relocation) => readReference(object, instructions, relocation));
  if (instructions !== undefined && shared) {
    const relocated = new Set(found.map((each) => each.offset));
    found.push(...innerBranches(section, items, instructions, relocated));
    found.sort((a, b) => a.offset - b.offset);
  }
  return found;
}

/** Pass 0: items and references of an object file. */
export function readUnit(object: ObjectFile, facts?: SectionFacts): Unit {
  const classes = object.sections.map((section) => classifySection(section, facts));
  const itemsIn = readItems(object, classes);
  const referencesIn = new Map<SectionIndex, readonly Reference[]>();
  const starts = new Map<SectionIndex, Set<number>>();
  for (const section of object.sections) {
    // Debug information refers to everything and is nobody's business here.
    if (section.relocations.length === 0 && !isTextClass(classes[section.index] ?? 'drop')) continue;
    if (section.name.startsWith('.debug')) continue;
    const references = readReferences(object, section, itemsIn.get(section.index) ?? []);
    referencesIn.set(section.index, references);
    for (const { to, use } of references) {
      if (use !== 'branch' || to.kind !== 'place' || itemsIn.has(to.section)) continue;
      const known = starts.get(to.section) ?? new Set<number>();
      known.add(to.offset);
      starts.set(to.section, known);
    }
  }
  const piecesIn = new Map(
    [...starts].map(([section, offsets]) => [section, [...offsets].sort((a, b) => a - b)] as const),
  );
  return { object, classes, items: [...itemsIn.values()].flat(), itemsIn, referencesIn, piecesIn };
}
