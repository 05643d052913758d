/**
 * Run-pre matching (paper, section 4.3): proves that a unit, compiled from the source we have, is what
 * runs in memory, and learns from it where everything is.
 *
 * The unit is compiled plainly, as the distributor did. Its sections then lie in the kernel as whole
 * blocks, so matching is exact: one base for each section, every byte equal or explained by the tables.
 * Sections that are gone after boot (.init, .exit of built-in code) and what only tables refer to
 * (.altinstr_*) are not compared.
 */
import { hex } from '../diagnostics/hex.ts';
import { SHF_ALLOC, SHF_EXECINSTR, STB_LOCAL, STT_FUNC } from '../elf/constants.ts';
import type { ObjectFile, Section, SectionIndex } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type SymbolScope, scopeOf, VMLINUX } from '../kernel/symbol-scope.ts';
import type { RewrittenPlace } from '../kernel/tables/rewritten-place.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';
import { anchorsOf, functionsOf } from './anchor.ts';
import { BootChoices } from './boot-choices.ts';
import { compareExports, compareReadOnlyData, exportNames } from './compare-data.ts';
import {
  compareSection,
  type SectionDifference,
  type SectionMatch,
  type UnmappedSection,
} from './compare-section.ts';
import { TableComparison } from './compare-tables.ts';
import { isFileScopeObject, LearnedValues } from './learned-values.ts';
import { LiveValues, liveNames } from './live-values.ts';
import type { CodeMismatch, Mismatch, SymbolMismatch } from './mismatch.ts';
import { RunTables, tableNames } from './run-tables.ts';
import { noPatches, type TextPatch, type TextPatches } from './text-patch.ts';
import type { Observation } from './variant.ts';

/** A matched text section: its bytes in memory, and which of them may change at any time. */
export interface MatchedText {
  readonly base: Address;
  readonly run: Uint8Array;
  readonly mask: Uint8Array;
}

export interface UnitMatch {
  readonly kind: 'match';
  readonly object: ObjectFile;
  /** `vmlinux`, or the module that the unit is part of. */
  readonly target: string;
  readonly text: ReadonlyMap<SectionIndex, MatchedText>;
  /** What others had written to the kernel's text when it was matched. */
  readonly patches: readonly TextPatch[];
  /** Run addresses of the unit's sections, text and data, as far as the matched code shows them. */
  readonly bases: ReadonlyMap<SectionIndex, Address>;
  /** Run addresses of named symbols, of other units too. */
  readonly values: ReadonlyMap<string, Address>;
  readonly explained: ReadonlyMap<string, number>;
  /** What the kernel chose when it booted, as this code shows: `feature 3*32+21` is `on`. */
  readonly choices: ReadonlyMap<string, string>;
  /** Bytes of text compared. */
  readonly compared: number;
}

export type UnitMismatch = { readonly kind: 'mismatch'; readonly mismatch: Mismatch };

/** A mismatch is read this often before it is believed: the kernel may be rewriting that very place. */
const READS = 4;
const MILLISECONDS_BETWEEN_READS = 5;

const TOGETHER = 'code, references and kallsyms that agree where it lies';

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MILLISECONDS_BETWEEN_READS);
}

/** A module keeps its exit code, as long as it can be unloaded. */
function isGone(name: string, target: string): boolean {
  const gone = target === VMLINUX ? /^\.(init|exit)\b/ : /^\.init\b/;
  return gone.test(name) || name.startsWith('.altinstr') || name === '.static_call.text';
}

/** Sections of a plain object whose code is compared with memory. */
export function matchedSections(object: ObjectFile, target: string): readonly Section[] {
  return object.sections.filter(
    (section) =>
      (section.flags & SHF_EXECINSTR) !== 0 &&
      (section.flags & SHF_ALLOC) !== 0 &&
      section.size > 0 &&
      !isGone(section.name, target),
  );
}

/**
 * All names that matching this unit will look up, so that kallsyms is scanned once for many units. Static
 * objects of functions are not among them: they are found by where they lie.
 */
export function namesToLookUp(object: ObjectFile): readonly string[] {
  const asked = object.symbols.filter(
    (symbol) =>
      symbol.name !== '' &&
      (symbol.type === STT_FUNC || symbol.binding !== STB_LOCAL || isFileScopeObject(symbol)),
  );
  return [...liveNames, ...tableNames, ...exportNames(object), ...asked.map(({ name }) => name)];
}

function toCodeMismatch(
  object: ObjectFile,
  section: Section,
  base: Address,
  difference: SectionDifference,
  live: LiveValues,
): CodeMismatch {
  const owner = functionsOf(object, section).findLast((symbol) => Number(symbol.value) <= difference.offset);
  const start = owner === undefined ? 0 : Number(owner.value);
  const end = owner === undefined ? section.size : Math.min(start + owner.size, section.size);
  const until = Math.max(end, difference.offset + 1);
  return {
    kind: 'code',
    unit: object.path,
    name: owner?.name ?? section.name,
    offset: difference.offset - start,
    sectionOffset: difference.offset,
    section: section.index,
    start: addressAt(base, start),
    found: live.read(addressAt(base, start), until - start),
    expected: section.data.subarray(start, until),
    place: difference.place?.kind,
  };
}

interface Tried {
  readonly base: Address;
  readonly result: SectionMatch | SectionDifference | UnmappedSection;
}

function tryBases(
  object: ObjectFile,
  section: Section,
  places: readonly RewrittenPlace[],
  bases: readonly Address[],
  live: LiveValues,
  choices: BootChoices,
  patches: TextPatches,
  learned: LearnedValues,
): readonly Tried[] {
  let tried: readonly Tried[] = [];
  for (let read = 0; read < READS; read += 1) {
    if (read > 0) {
      live.forget();
      pause();
    }
    const patched = patches();
    tried = bases.map((base) => {
      const isPlausible = (observation: Observation): boolean =>
        learned.isPlausible(observation, { section: section.index, base });
      return {
        base,
        result: compareSection(object, section, places, base, live, choices, patched, isPlausible),
      };
    });
    if (tried.some(({ result }) => result.kind === 'match')) break;
  }
  return tried;
}

/** Farthest first: the candidate that agrees longest is the one to report. */
function farthest(tried: readonly Tried[]): { base: Address; difference: SectionDifference } | undefined {
  let best: { base: Address; difference: SectionDifference } | undefined;
  for (const { base, result } of tried) {
    if (result.kind !== 'difference') continue;
    if (best === undefined || result.offset > best.difference.offset) best = { base, difference: result };
  }
  return best;
}

interface Candidates {
  readonly bases: readonly Address[];
  readonly missing: string | undefined;
  /** Whether kallsyms has all functions of the section where these bases put them. */
  readonly agrees: boolean;
}

function candidatesOf(
  object: ObjectFile,
  section: Section,
  scope: SymbolScope,
  learned: LearnedValues,
): Candidates {
  const anchors = anchorsOf(object, section, scope);
  const known = learned.bases.get(section.index);
  if (known !== undefined) {
    const agrees = !anchors.hasFunctions || anchors.bases.includes(known);
    return { bases: [known], missing: anchors.missing, agrees };
  }
  const agrees = anchors.bases.length > 0;
  return { bases: agrees ? anchors.bases : anchors.fallback, missing: anchors.missing, agrees };
}

/**
 * A section that is in the kernel several times, byte for byte: a small function which each unit has a copy of, and
 * which only code calls that is gone. Which of them is this unit's cannot be known, so it has no place, and nothing of
 * it can be replaced or referred to.
 */
interface Undecided {
  readonly section: Section;
  readonly bases: readonly Address[];
}

/** Sections with functions that kallsyms names come first: they tell where the others are. */
function inMatchingOrder(object: ObjectFile, target: string): readonly Section[] {
  return [...matchedSections(object, target)].sort(
    (a, b) => functionsOf(object, b).length - functionsOf(object, a).length,
  );
}

function symbolMismatch(object: ObjectFile, name: string, found: string, expected: string): UnitMismatch {
  return {
    kind: 'mismatch',
    mismatch: { kind: 'symbol', unit: object.path, name, found, expected, reason: 'no_match' },
  };
}

/**
 * The kernel's tables about the matched code, and the constants that it refers to. (Where the tables of a module lie,
 * and how long they are, is known to its `struct module` only, which has another layout in every kernel.)
 */
function compareMeaning(
  object: ObjectFile,
  kernel: Kernel,
  scope: SymbolScope,
  text: ReadonlyMap<SectionIndex, MatchedText>,
  learned: LearnedValues,
  tables: RunTables,
): SymbolMismatch | undefined {
  const comparison = new TableComparison(object, tables, learned);
  for (const [index, { base }] of scope.target === VMLINUX ? text : []) {
    const section = object.sections[index];
    const mismatch = section === undefined ? undefined : comparison.compare({ section, base });
    if (mismatch !== undefined) return mismatch;
  }
  return compareReadOnlyData(object, kernel, learned) ?? compareExports(object, kernel, scope, learned);
}

/**
 * Compares the whole unit; stops at the first mismatch. `tables`: who matches many units lets them share what is
 * read of the kernel's tables. `target`: `vmlinux`, or the loaded module that the unit is part of.
 * `patches`: who else has written to the kernel's text.
 */
export function matchUnit(
  object: ObjectFile,
  kernel: Kernel,
  tables: RunTables = new RunTables(kernel),
  target: string = VMLINUX,
  patches: TextPatches = noPatches,
): UnitMatch | UnitMismatch {
  const scope = scopeOf(kernel, target);
  kernel.prefetch(namesToLookUp(object));
  const live = new LiveValues(kernel, scope);
  const learned = new LearnedValues(object, kernel, scope);
  const places = rewrittenPlaces(object);
  const text = new Map<SectionIndex, MatchedText>();
  const explained = new Map<string, number>();
  const undecided: Undecided[] = [];
  let choices = new BootChoices();
  let compared = 0;

  for (const section of inMatchingOrder(object, target)) {
    const { bases, missing, agrees } = candidatesOf(object, section, scope, learned);
    if (!agrees && learned.bases.has(section.index) && missing === undefined) {
      return symbolMismatch(object, section.name, 'references to another place than its functions', TOGETHER);
    }
    const tried = tryBases(object, section, places, bases, live, choices, patches, learned);
    const matches = tried.filter(({ result }) => result.kind === 'match');
    const [match] = matches;
    if (match === undefined || match.result.kind !== 'match') {
      const worst = farthest(tried);
      const [first] = tried;
      if (worst === undefined && first !== undefined) {
        return symbolMismatch(object, section.name, `no memory at ${hex(first.base)}`, 'its code');
      }
      if (worst === undefined) {
        const what = missing ?? section.name;
        return symbolMismatch(object, what, 'no such symbol', 'a function of this name');
      }
      return {
        kind: 'mismatch',
        mismatch: toCodeMismatch(object, section, worst.base, worst.difference, live),
      };
    }
    if (missing !== undefined) {
      return symbolMismatch(object, missing, 'no such symbol', 'a function of this name');
    }
    if (!agrees) {
      return symbolMismatch(object, section.name, 'functions that kallsyms has elsewhere', TOGETHER);
    }
    if (matches.length > 1) {
      undecided.push({ section, bases: matches.map(({ base }) => base) });
      compared += section.size;
      continue;
    }
    const { observations, run, mask } = match.result;
    ({ choices } = match.result);
    const conflict =
      learned.learnBase(section.index, match.base) ??
      observations.map((each) => learned.learn(each)).find((each) => each !== undefined);
    if (conflict !== undefined) return { kind: 'mismatch', mismatch: conflict };
    text.set(section.index, { base: match.base, run, mask });
    for (const [what, count] of match.result.explained)
      explained.set(what, (explained.get(what) ?? 0) + count);
    compared += section.size;
  }
  const elsewhere = undecided.find(({ section, bases }) => {
    const known = learned.bases.get(section.index);
    return known !== undefined && !bases.includes(known);
  });
  if (elsewhere !== undefined) {
    const found = `${elsewhere.bases.length} places that match`;
    return symbolMismatch(object, elsewhere.section.name, found, 'the one that is referred to among them');
  }
  const differing = compareMeaning(object, kernel, scope, text, learned, tables);
  if (differing !== undefined) return { kind: 'mismatch', mismatch: differing };
  const misplaced = learned.checkObjects();
  if (misplaced !== undefined) return { kind: 'mismatch', mismatch: misplaced };
  return {
    kind: 'match',
    object,
    target,
    text,
    patches: patches(),
    bases: learned.bases,
    values: learned.values,
    explained,
    choices: choices.all,
    compared,
  };
}
