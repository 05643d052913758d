/**
 * Run-pre matching (paper, section 4.3): proves that a unit, compiled from the source we have, is what
 * runs in memory, and learns from it where everything is.
 *
 * Strict: the unit is compiled plainly, as the distributor did. Its sections then lie in the kernel as whole
 * blocks, so matching is exact: one base for each section, every byte equal or explained by the tables.
 * Tolerant: each function of the unit is compiled to a section of its own, and compared with the kernel's instruction by
 * instruction (straighten.ts), for kernels that are laid out in another way than the unit would be.
 * Sections that are gone after boot (.init, .exit of built-in code) and what only tables refer to
 * (.altinstr_*) are not compared.
 */
import type { ObjectFile, Section, SectionIndex } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type SymbolScope, scopeOf, VMLINUX } from '../kernel/symbol-scope.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';
import type { Decoder } from '../x86/decoder.ts';
import { BootChoices } from './boot-choices.ts';
import type { CodeLayout } from './code-layout.ts';
import { compareExports, compareReadOnlyData } from './compare-data.ts';
import { OrcComparison } from './compare-orc.ts';
import { TableComparison } from './compare-tables.ts';
import { LearnedValues } from './learned-values.ts';
import type { LinkOrder } from './link-order.ts';
import { LiveValues } from './live-values.ts';
import type { Mismatch, SymbolMismatch } from './mismatch.ts';
import {
  type PlacedSection,
  placeSection,
  type UndecidedSection,
  type UnitContext,
} from './place-section.ts';
import { readAsItIs } from './read-code.ts';
import { RunTables } from './run-tables.ts';
import { settleUndecided } from './settle-undecided.ts';
import { readStraightened } from './straighten.ts';
import { noPatches, type TextPatch, type TextPatches } from './text-patch.ts';
import { inMatchingOrder, matchedSections, namesToLookUp } from './text-sections.ts';

export type MatchMode = 'strict' | 'tolerant';

/** A matched text section. */
export interface MatchedText {
  readonly base: Address;
  /** What is in memory there. */
  readonly run: Uint8Array;
  /** For each byte of it: 0 where the kernel may rewrite it at any time, else 0xff. */
  readonly mask: Uint8Array;
  /** Where in it the section's offsets lie. */
  readonly layout: CodeLayout;
}

export interface UnitMatch {
  readonly kind: 'match';
  readonly mode: MatchMode;
  readonly object: ObjectFile;
  /** `vmlinux`, or the module that the unit is part of. */
  readonly target: string;
  /** What the names in it may mean. */
  readonly scope: SymbolScope;
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

export interface MatchOptions {
  /** Who matches many units lets them share what is read of the kernel's tables. */
  readonly tables?: RunTables;
  /** `vmlinux`, or the loaded module that the unit is part of. */
  readonly target?: string;
  /** What its names may mean, where the target's names are others than the unit's. */
  readonly scope?: SymbolScope;
  /** Who else has written to the kernel's text. */
  readonly patches?: TextPatches;
  /** For the tolerant mode; strict without. */
  readonly tolerant?: { readonly decoder: Decoder };
}

/** Where an offset of a section lies; undefined if the section has no place. */
export function addressOf(
  { bases, text }: Pick<UnitMatch, 'bases' | 'text'>,
  section: SectionIndex,
  offset: bigint,
): Address | undefined {
  const base = bases.get(section);
  const layout = text.get(section)?.layout;
  if (base === undefined) return undefined;
  return addressAt(base, layout === undefined ? offset : layout.toRun(Number(offset)));
}

function contextOf(object: ObjectFile, kernel: Kernel, options: MatchOptions): UnitContext {
  const { target = VMLINUX, patches = noPatches, tolerant } = options;
  const { scope = scopeOf(kernel, target) } = options;
  const live = new LiveValues(kernel, scope);
  const laidOutAnew = tolerant === undefined ? [] : matchedSections(object, target);
  let patched: readonly TextPatch[] | undefined;
  return {
    object,
    scope,
    live,
    learned: new LearnedValues(object, kernel, scope, laidOutAnew),
    places: rewrittenPlaces(object),
    patches: () => {
      patched ??= patches();
      return patched;
    },
    readCode: tolerant === undefined ? readAsItIs(live) : readStraightened(live, tolerant.decoder),
    forget: () => {
      live.forget();
      patched = undefined;
    },
  };
}

/** What the text sections have shown. */
interface MatchedCode {
  readonly text: ReadonlyMap<SectionIndex, MatchedText>;
  readonly explained: ReadonlyMap<string, number>;
  readonly choices: BootChoices;
  readonly compared: number;
}

function textOf({ section, code, match }: PlacedSection): MatchedText {
  const { base, layout } = code;
  const run = code.memory.subarray(0, layout.toRun(section.size));
  const mask = new Uint8Array(run.length).fill(0xff);
  for (const { from, to } of match.mutable) mask.fill(0, layout.toRun(from), layout.toRun(to));
  return { base, run, mask, layout };
}

/** Takes what a section has shown as known. */
function learnFrom({ section, code, match }: PlacedSection, learned: LearnedValues): Mismatch | undefined {
  return (
    learned.learnBase(section.index, code.base) ??
    learned.learnLayout(section.index, code.layout) ??
    match.observations.map((each) => learned.learn(each)).find((each) => each !== undefined)
  );
}

/** All text sections, one after the other; those that several places fit last, by what else is known then. */
function matchCode(
  sections: readonly Section[],
  context: UnitContext,
  linkOrder: () => LinkOrder | undefined,
): MatchedCode | Mismatch {
  const { learned } = context;
  const text = new Map<SectionIndex, MatchedText>();
  const explained = new Map<string, number>();
  let choices = new BootChoices();
  let compared = 0;
  let waiting = sections;
  while (waiting.length > 0) {
    const undecided: UndecidedSection[] = [];
    for (const section of waiting) {
      const isFirst = waiting === sections;
      const outcome = placeSection(section, context, choices);
      if (outcome.kind === 'mismatch') return outcome.mismatch;
      if (outcome.kind === 'absent') continue;
      if (isFirst) compared += section.size;
      if (outcome.kind === 'undecided') {
        undecided.push(outcome);
        continue;
      }
      const { match } = outcome;
      ({ choices } = match);
      const conflict = learnFrom(outcome, learned);
      if (conflict !== undefined) return conflict;
      text.set(section.index, textOf(outcome));
      for (const [what, count] of match.explained) explained.set(what, (explained.get(what) ?? 0) + count);
    }
    const settled = settleUndecided(undecided, context, linkOrder);
    if ('kind' in settled) return settled;
    waiting = settled;
  }
  return { text, explained, choices, compared };
}

/** The kernel's tables about the matched code, the constants that it refers to, and what it exports. */
function compareMeaning(
  kernel: Kernel,
  tables: RunTables,
  text: ReadonlyMap<SectionIndex, MatchedText>,
  { object, scope, learned }: UnitContext,
): SymbolMismatch | undefined {
  const comparison = new TableComparison(object, tables, scope, learned);
  const orc = new OrcComparison(object, tables, scope.target);
  for (const [index, { base, layout }] of text) {
    const section = object.sections[index];
    if (section === undefined) continue;
    const matched = { section, base, layout };
    const mismatch = comparison.compare(matched) ?? orc.compare(matched);
    if (mismatch !== undefined) return mismatch;
  }
  return (
    compareReadOnlyData(object, kernel, learned) ??
    compareExports(object, kernel, scope, learned) ??
    learned.checkWaiting() ??
    learned.checkObjects()
  );
}

/** Compares the whole unit; stops at the first mismatch. */
export function matchUnit(
  object: ObjectFile,
  kernel: Kernel,
  options: MatchOptions = {},
): UnitMatch | UnitMismatch {
  const { tables = new RunTables(kernel), target = VMLINUX, tolerant } = options;
  kernel.prefetch(namesToLookUp(object, target));
  const context = contextOf(object, kernel, options);
  const code = matchCode(inMatchingOrder(object, target), context, () => tables.linkOrder());
  if ('kind' in code) return { kind: 'mismatch', mismatch: code };
  const differing = compareMeaning(kernel, tables, code.text, context);
  if (differing !== undefined) return { kind: 'mismatch', mismatch: differing };
  const { learned, patches } = context;
  return {
    kind: 'match',
    mode: tolerant === undefined ? 'strict' : 'tolerant',
    object,
    target,
    scope: context.scope,
    text: code.text,
    patches: patches(),
    bases: learned.bases,
    values: learned.values,
    explained: code.explained,
    choices: code.choices.all,
    compared: code.compared,
  };
}
