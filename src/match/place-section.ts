/**
 * Finds where a text section of a unit lies in the kernel, by comparing it with every place where its functions, or
 * references to it, say that it may lie.
 */
import { hex } from '../diagnostics/hex.ts';
import { STB_WEAK } from '../elf/constants.ts';
import { sourceLineAt } from '../elf/line-table.ts';
import type { ObjectFile, Section } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { SymbolScope } from '../kernel/symbol-scope.ts';
import type { RewrittenPlace } from '../kernel/tables/rewritten-place.ts';
import { anchorsOf, functionsOf } from './anchor.ts';
import type { BootChoices } from './boot-choices.ts';
import {
  compareSection,
  placesOfSection,
  type RunCode,
  type SectionDifference,
  type SectionMatch,
} from './compare-section.ts';
import type { LearnedValues } from './learned-values.ts';
import type { LiveValues } from './live-values.ts';
import { type CodeMismatch, type Mismatch, symbolMismatch } from './mismatch.ts';
import type { CodeReader } from './read-code.ts';
import type { TextPatch } from './text-patch.ts';
import type { Observation } from './variant.ts';

/** One unit, the kernel that it is matched with, and what is known of both so far. */
export interface UnitContext {
  readonly object: ObjectFile;
  readonly scope: SymbolScope;
  readonly live: LiveValues;
  readonly learned: LearnedValues;
  /** Of the whole unit. */
  readonly places: readonly RewrittenPlace[];
  /** Who else has written to the kernel's text, as it was when memory was last read anew. */
  readonly patches: () => readonly TextPatch[];
  readonly readCode: CodeReader;
  /** What the kernel may have changed meanwhile will be read anew. */
  readonly forget: () => void;
}

export interface PlacedSection {
  readonly kind: 'placed';
  readonly section: Section;
  readonly code: RunCode;
  readonly match: SectionMatch;
}

/**
 * A section that is in the kernel several times, byte for byte: a small function which each unit has a copy of, and
 * which only code calls that is gone. Which of them is this unit's cannot be known, unless something refers to it.
 */
export interface UndecidedSection {
  readonly kind: 'undecided';
  readonly section: Section;
  readonly bases: readonly Address[];
}

/** One that nothing in the kernel refers to, and that no symbol leads to. */
export interface AbsentSection {
  readonly kind: 'absent';
}

export type SectionOutcome =
  | PlacedSection
  | AbsentSection
  | UndecidedSection
  | { readonly kind: 'mismatch'; readonly mismatch: Mismatch };

/** A mismatch is read this often before it is believed: the kernel may be rewriting that very place. */
const READS = 4;
const MILLISECONDS_BETWEEN_READS = 5;

const TOGETHER = 'code, references and kallsyms that agree where it lies';

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MILLISECONDS_BETWEEN_READS);
}

interface Tried {
  readonly base: Address;
  readonly code: RunCode | undefined;
  /** Undefined where there is no memory. */
  readonly result: SectionMatch | SectionDifference | undefined;
}

function tryBase(base: Address, section: Section, context: UnitContext, choices: BootChoices): Tried {
  const { object, live, learned, places, patches, readCode } = context;
  // At rest nothing has been rewritten yet: every place is as objtool left it.
  const rewritten = live.isRunning ? placesOfSection(places, section) : [];
  const code = readCode({ section, base, places: rewritten, patches: patches() });
  if (code === undefined) return { base, code, result: undefined };
  const isPlausible = (observation: Observation): boolean =>
    learned.isPlausible(observation, { section: section.index, base });
  const result = compareSection(code, { object, section, places: rewritten, live, choices, isPlausible });
  return { base, code, result };
}

function tryBases(
  bases: readonly Address[],
  section: Section,
  context: UnitContext,
  choices: BootChoices,
): readonly Tried[] {
  let tried: readonly Tried[] = [];
  for (let read = 0; read < READS; read += 1) {
    if (read > 0) {
      context.forget();
      pause();
    }
    tried = bases.map((base) => tryBase(base, section, context, choices));
    if (tried.some(({ result }) => result?.kind === 'match')) break;
  }
  return tried;
}

interface Candidates {
  readonly bases: readonly Address[];
  readonly missing: string | undefined;
  /** Whether kallsyms has all functions of the section where these bases put them. */
  readonly agrees: boolean;
}

function candidatesOf(section: Section, { object, scope, learned }: UnitContext): Candidates {
  const anchors = anchorsOf(object, section, scope);
  const known = learned.bases.get(section.index);
  if (known !== undefined) {
    const agrees = !anchors.hasFunctions || anchors.bases.includes(known);
    return { bases: [known], missing: anchors.missing, agrees };
  }
  const agrees = anchors.bases.length > 0;
  return { bases: agrees ? anchors.bases : anchors.fallback, missing: anchors.missing, agrees };
}

function toCodeMismatch(
  object: ObjectFile,
  section: Section,
  code: RunCode,
  difference: SectionDifference,
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
    start: addressAt(code.base, start),
    found: code.bytes.subarray(start, until),
    expected: section.data.subarray(start, until),
    line: sourceLineAt(object, section.index, difference.offset),
    place: difference.place?.kind,
  };
}

/** Why no place fits: of the candidates, the one that agrees longest is the one to report. */
function reasonOf(
  section: Section,
  tried: readonly Tried[],
  missing: string | undefined,
  { object }: UnitContext,
): Mismatch {
  let best: { readonly code: RunCode; readonly difference: SectionDifference } | undefined;
  for (const { code, result } of tried) {
    if (code === undefined || result?.kind !== 'difference') continue;
    if (best === undefined || result.offset > best.difference.offset) best = { code, difference: result };
  }
  if (best !== undefined) return toCodeMismatch(object, section, best.code, best.difference);
  const [first] = tried;
  return first === undefined
    ? symbolMismatch(object.path, missing ?? section.name, 'no such symbol', 'a function of this name')
    : symbolMismatch(object.path, section.name, `no memory at ${hex(first.base)}`, 'its code');
}

/**
 * Nothing but weak functions, while strong ones elsewhere have their names: with a section of its own such a function is
 * thrown away by the linker, or its body is in the kernel, without a name, and never called.
 */
function isOverridden(section: Section, { object, scope }: UnitContext): boolean {
  const functions = functionsOf(object, section);
  return (
    functions.length > 0 &&
    functions.every(({ name, binding }) => {
      const named = scope.own(name);
      return binding === STB_WEAK && named.length > 0 && named.every(({ type }) => !/[wW]/.test(type));
    })
  );
}

/** `choices`: what other sections have shown. */
export function placeSection(section: Section, context: UnitContext, choices: BootChoices): SectionOutcome {
  const { object, learned } = context;
  const mismatch = (name: string, found: string, expected: string): SectionOutcome => ({
    kind: 'mismatch',
    mismatch: symbolMismatch(object.path, name, found, expected),
  });
  if (isOverridden(section, context) && !learned.bases.has(section.index)) return { kind: 'absent' };
  const { bases, missing, agrees } = candidatesOf(section, context);
  if (!agrees && learned.bases.has(section.index) && missing === undefined) {
    return mismatch(section.name, 'references to another place than its functions', TOGETHER);
  }
  const tried = tryBases(bases, section, context, choices);
  const matches = tried.filter(({ result }) => result?.kind === 'match');
  const [only] = matches;
  if (only?.code === undefined || only.result?.kind !== 'match') {
    return { kind: 'mismatch', mismatch: reasonOf(section, tried, missing, context) };
  }
  if (missing !== undefined) return mismatch(missing, 'no such symbol', 'a function of this name');
  if (!agrees) return mismatch(section.name, 'functions that kallsyms has elsewhere', TOGETHER);
  return matches.length > 1
    ? { kind: 'undecided', section, bases: matches.map(({ base }) => base) }
    : { kind: 'placed', section, code: only.code, match: only.result };
}
