/**
 * Which places of a unit's text the kernel rewrites: read from the unit's own special sections, since the
 * kernel works from the same tables. A place that no table names is never rewritten, except by probes.
 *
 * Lengths are not in most tables; the kernel decodes the instruction that it finds. So do we, in the
 * object, where the instruction is still as the compiler or objtool left it. Something else than the
 * table's makers can have put there is an error: the table then has another layout than we think.
 */
import { FormatError } from '../../diagnostics/error.ts';
import { hex, hexBytes } from '../../diagnostics/hex.ts';
import type { ObjectFile, Relocation, Section, SectionIndex } from '../../elf/model.ts';
import { ALTINSTR_FLAG_INV, altInstructions } from './alternatives.ts';
import { type BranchAt, branchAt } from './branch-at.ts';
import { type CodeTarget, codeTarget } from './code-target.ts';
import { endbrSeal } from './endbr-seal.ts';
import { JUMP_ENTRY_BRANCH, JUMP_ENTRY_NOP_HACK, jumpTable } from './jump-table.ts';
import { mcountLoc } from './mcount-loc.ts';
import { paraInstructions } from './paravirt.ts';
import { retpolineSites } from './retpoline-sites.ts';
import { returnSites } from './return-sites.ts';
import type { RewrittenPlace } from './rewritten-place.ts';
import { smpLocks } from './smp-locks.ts';
import type { SpecialTable } from './special-table.ts';
import {
  STATIC_CALL_SITE_TAIL,
  STATIC_CALL_TRAMPOLINE_SIZE,
  staticCallSites,
  staticCallText,
} from './static-calls.ts';
import { type TableEntry, tableEntries } from './table-entries.ts';

const thunkPrefix = '__x86_indirect_thunk_';
const registers = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

function where(object: ObjectFile, at: CodeTarget): string {
  return `${object.path}: ${object.sections[at.section]?.name ?? '?'}+${hex(at.offset)}`;
}

function malformed(object: ObjectFile, entry: TableEntry, problem: string): FormatError {
  const name = entry.section.name;
  return new FormatError('malformed_object', `${object.path}: ${name}: entry ${entry.number}: ${problem}`);
}

function ownerOf(object: ObjectFile, entry: TableEntry): CodeTarget {
  if (entry.owner === undefined) throw malformed(object, entry, 'names no code of this object');
  return entry.owner;
}

function textOf(object: ObjectFile, at: CodeTarget): Uint8Array {
  return object.sections[at.section]?.data ?? new Uint8Array();
}

function relocationAt(section: Section | undefined, offset: number): Relocation | undefined {
  return section?.relocations.find((each) => each.offset === offset);
}

function branchOf(object: ObjectFile, entry: TableEntry, at: CodeTarget): BranchAt {
  const bytes = textOf(object, at);
  const branch = branchAt(bytes, at.offset);
  if (branch === undefined) {
    const found = hexBytes(bytes.subarray(at.offset, at.offset + 6));
    throw malformed(object, entry, `no branch at ${where(object, at)}, found ${found}`);
  }
  return branch;
}

function fieldReference(entry: TableEntry, offset: number): Relocation | undefined {
  return entry.relocations.find((each) => each.offset === entry.offset + offset);
}

function fieldTarget(object: ObjectFile, entry: TableEntry, offset: number, name: string): CodeTarget {
  const relocation = fieldReference(entry, offset);
  const target = relocation === undefined ? undefined : codeTarget(object, relocation);
  if (target === undefined) throw malformed(object, entry, `${name} names no place of this object`);
  return target;
}

function retpolinePlace(object: ObjectFile, entry: TableEntry): RewrittenPlace {
  const at = ownerOf(object, entry);
  const branch = branchOf(object, entry, at);
  const relocation = relocationAt(object.sections[at.section], at.offset + branch.displacement);
  const thunk = relocation === undefined ? '' : (object.symbols[relocation.symbol]?.name ?? '');
  const register = registers.indexOf(thunk.slice(thunkPrefix.length));
  if (!thunk.startsWith(thunkPrefix) || register < 0) {
    throw malformed(
      object,
      entry,
      `${where(object, at)} goes to '${thunk}', expected ${thunkPrefix}<register>`,
    );
  }
  const { form, condition, length } = branch;
  return { kind: 'retpoline', ...at, length, form, condition, register };
}

function alternativePlace(object: ObjectFile, entry: TableEntry): RewrittenPlace {
  const at = ownerOf(object, entry);
  const view = new DataView(entry.bytes.buffer, entry.bytes.byteOffset, entry.bytes.byteLength);
  const cpuid = view.getUint16(8, true);
  const length = view.getUint8(10);
  const replacementLength = view.getUint8(11);
  const none: CodeTarget = { section: entry.section.index, offset: 0 };
  const from = replacementLength === 0 ? none : fieldTarget(object, entry, 4, 'repl_offset');
  const source = object.sections[from.section];
  if (replacementLength > length) {
    throw malformed(object, entry, `replacement of ${replacementLength} bytes for a place of ${length}`);
  }
  const end = from.offset + replacementLength;
  const relocations = (replacementLength === 0 ? [] : (source?.relocations ?? []))
    .filter((each) => each.offset >= from.offset && each.offset < end)
    .map((each) => ({ ...each, offset: each.offset - from.offset }));
  return {
    kind: 'alternative',
    ...at,
    length,
    feature: cpuid & ~ALTINSTR_FLAG_INV,
    negated: (cpuid & ALTINSTR_FLAG_INV) !== 0,
    replacement: { bytes: textOf(object, from).subarray(from.offset, end), relocations, at: from },
  };
}

function jumpLabelPlace(object: ObjectFile, entry: TableEntry): RewrittenPlace {
  const at = ownerOf(object, entry);
  const bytes = textOf(object, at).subarray(at.offset, at.offset + 5);
  const short = bytes[0] === 0xeb || (bytes[0] === 0x66 && bytes[1] === 0x90);
  const long = bytes[0] === 0xe9 || (bytes[0] === 0x0f && bytes[1] === 0x1f && bytes[2] === 0x44);
  if (!short && !long) {
    throw malformed(object, entry, `neither jump nor nop at ${where(object, at)}, found ${hexBytes(bytes)}`);
  }
  const [key, goes] = [fieldReference(entry, 8), fieldReference(entry, 4)];
  if (key === undefined || goes === undefined) throw malformed(object, entry, 'has no key or no target');
  return {
    kind: 'jump-label',
    ...at,
    length: short ? 2 : 5,
    target: fieldTarget(object, entry, 4, 'target'),
    targetReference: { symbol: goes.symbol, addend: goes.addend },
    key: {
      symbol: key.symbol,
      addend: key.addend - (key.addend & (JUMP_ENTRY_BRANCH | JUMP_ENTRY_NOP_HACK)),
    },
    branch: (key.addend & JUMP_ENTRY_BRANCH) !== 0,
    entry: entry.number,
  };
}

function staticCallPlace(object: ObjectFile, entry: TableEntry): RewrittenPlace {
  const at = ownerOf(object, entry);
  const branch = branchOf(object, entry, at);
  const key = fieldReference(entry, 4);
  if (key === undefined) throw malformed(object, entry, 'has no key');
  return {
    kind: 'static-call',
    ...at,
    length: branch.length,
    form: branch.form,
    tail: (key.addend & STATIC_CALL_SITE_TAIL) !== 0,
    key: key.symbol,
    entry: entry.number,
  };
}

function paravirtPlace(object: ObjectFile, entry: TableEntry): RewrittenPlace {
  const at = ownerOf(object, entry);
  return { kind: 'paravirt', ...at, length: entry.bytes[9] ?? 0, type: entry.bytes[8] ?? 0 };
}

type PlaceReader = (object: ObjectFile, entry: TableEntry) => RewrittenPlace;

const placeReaders: readonly (readonly [SpecialTable, PlaceReader])[] = [
  [mcountLoc, (object, entry) => ({ kind: 'fentry', ...ownerOf(object, entry), length: 5 })],
  [returnSites, (object, entry) => ({ kind: 'return', ...ownerOf(object, entry), length: 5 })],
  [retpolineSites, retpolinePlace],
  [altInstructions, alternativePlace],
  [paraInstructions, paravirtPlace],
  [smpLocks, (object, entry) => ({ kind: 'smp-lock', ...ownerOf(object, entry), length: 1 })],
  [jumpTable, jumpLabelPlace],
  [staticCallSites, staticCallPlace],
  [endbrSeal, (object, entry) => ({ kind: 'endbr', ...ownerOf(object, entry), length: 4 })],
];
const readers = new Map(placeReaders.map((each) => [each[0].section, each]));

/** Trampolines are marked by their section, not by a table: eight bytes each, the first five rewritten. */
function trampolines(object: ObjectFile, section: Section): RewrittenPlace[] {
  const places: RewrittenPlace[] = [];
  for (const symbol of object.symbols) {
    if (symbol.place !== section.index || !symbol.name.startsWith('__SCT__')) continue;
    const offset = Number(symbol.value);
    if (offset + STATIC_CALL_TRAMPOLINE_SIZE > section.size) {
      throw new FormatError(
        'malformed_object',
        `${object.path}: ${symbol.name} ends outside ${section.name}`,
      );
    }
    places.push({
      kind: 'static-call-trampoline',
      section: section.index,
      offset,
      length: 5,
      symbol: symbol.index,
    });
  }
  return places;
}

function checkInside(object: ObjectFile, place: RewrittenPlace): void {
  const section = object.sections[place.section];
  if (section === undefined || place.offset < 0 || place.offset + place.length > section.size) {
    throw new FormatError(
      'malformed_object',
      `${where(object, place)}: ${place.kind} place of ${place.length} bytes lies outside its section`,
    );
  }
}

/**
 * Every place of the object that the kernel may have rewritten, by section and offset; places at one
 * offset stay in the order of their tables (several alternatives, a return in a trampoline).
 * @param object an object as objtool left it
 * @throws FormatError if a table does not have the expected layout
 */
export function rewrittenPlaces(object: ObjectFile): readonly RewrittenPlace[] {
  const places: RewrittenPlace[] = [];
  for (const section of object.sections) {
    const reading = readers.get(section.name);
    if (reading !== undefined) {
      const [table, reader] = reading;
      for (const entry of tableEntries(object, section, table)) places.push(reader(object, entry));
    } else if (section.name === staticCallText.section) {
      places.push(...trampolines(object, section));
    }
  }
  for (const place of places) checkInside(object, place);
  return places.sort((a, b) => a.section - b.section || a.offset - b.offset);
}

/** The places of one section, from the list that `rewrittenPlaces` gave. */
export function placesIn(
  places: readonly RewrittenPlace[],
  section: SectionIndex,
): readonly RewrittenPlace[] {
  return places.filter((place) => place.section === section);
}
