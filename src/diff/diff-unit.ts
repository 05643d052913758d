/**
 * Differencing: from the pre and post object of a unit to what an update has to replace.
 *
 * Both are compiled with -ffunction-sections -fdata-sections, so that a function's bytes do not depend on
 * its neighbours. They are compared as objects, not as sources: a changed header, macro or inline function
 * shows where it has an effect and nowhere else (the method of Ksplice: Arnold and Kaashoek, EuroSys 2009).
 */
import type { ExportCrcChange } from '../build/export-crcs.ts';
import type { ObjectFile } from '../elf/model.ts';
import type { LayoutPair } from '../elf/type-layouts.ts';
import type { SectionFacts } from '../kernel/tables/classify-section.ts';
import { exportedNames } from '../kernel/tables/exported-names.ts';
import type { Comparison } from './compare-items.ts';
import { correlate } from './correlate.ts';
import { type DataChanges, dataChanges } from './data-changes.ts';
import type { Diagnostic } from './diagnostic.ts';
import { exportChanges } from './export-changes.ts';
import { exportTypeChanges } from './export-type-changes.ts';
import { functionChanges } from './function-changes.ts';
import { hookProblems, readHooks } from './hooks.ts';
import { instrumentation } from './instrumented.ts';
import { pointersInto } from './pointers-into.ts';
import { tableChanges } from './table-changes.ts';
import { typeChanges } from './type-changes.ts';
import type { UnitChange } from './unit-change.ts';
import { readSide, type UnitSide } from './unit-side.ts';

/** The two builds with their items correlated and their data compared: what all later passes work on. */
export interface ComparedUnit {
  readonly comparison: Comparison;
  readonly data: DataChanges;
}

/**
 * @param pre sectioned object of the original source
 * @param post sectioned object of the patched source, same compiler and flags
 * @throws FormatError if a special section has another layout than expected
 */
export function compareUnit(pre: ObjectFile, post: ObjectFile, facts?: SectionFacts): ComparedUnit {
  const before = readSide(pre, facts);
  const after = readSide(post, facts);
  const comparison = { pre: before, post: after, correlation: correlate(before, after) };
  const data = dataChanges({ ...comparison, copied: new Set() });
  return { comparison: { ...comparison, copied: data.copied }, data };
}

/** What the objects of a unit do not tell about its types. */
export interface UnitTypes {
  /** Types of both sides that lie in memory otherwise; they count where there is new code. */
  readonly layouts?: readonly LayoutPair[];
  /** Exports whose CRC differs; likewise. */
  readonly crcs?: readonly ExportCrcChange[];
}

function unknownSections(side: UnitSide): Diagnostic[] {
  const { object, classes } = side.unit;
  return object.sections
    .filter((section) => classes[section.index] === 'unknown' && section.size > 0)
    .map((section) => ({
      code: 'unknown_section',
      severity: 'error',
      message: `${object.path}: section ${section.name} is not known, and may be a table that the kernel acts on`,
      location: { unit: object.path, section: section.name },
      hint: 'please report it: what the section means has to be understood before a unit that has it can be updated',
    }));
}

/** `diffCompared` of what `compareUnit` finds. */
export function diffUnit(pre: ObjectFile, post: ObjectFile, types: UnitTypes = {}): UnitChange {
  return diffCompared(compareUnit(pre, post), types);
}

/**
 * Finds what a patch changes in a unit.
 * @returns all changes and all reasons to refuse; empty (`isEmptyChange`) if the objects mean the same
 */
export function diffCompared(
  { comparison, data }: ComparedUnit,
  { layouts = [], crcs = [] }: UnitTypes = {},
): UnitChange {
  const [pre, post] = [comparison.pre.unit.object, comparison.post.unit.object];
  const hooks = readHooks(comparison.post);
  const functions = functionChanges(
    comparison,
    hooks.map(({ item }) => item),
  );
  const replacedSymbols = new Set(functions.replaced.map(({ post: part }) => part.symbol));
  const replaced = new Set(comparison.post.unit.items.filter(({ symbol }) => replacedSymbols.has(symbol)));
  const hasNewCode = functions.replaced.length + hooks.length > 0;
  const types = hasNewCode ? typeChanges(post.path, layouts, exportedNames(pre)) : [];
  const told = new Set(
    types.flatMap(({ severity, location }) => (severity === 'error' ? (location?.symbol ?? []) : [])),
  );
  return {
    replaced: functions.replaced,
    newFunctions: functions.newFunctions,
    hooks: hooks.map(({ kind, item }) => ({ kind, name: item.name })),
    removedFunctions: functions.removedFunctions,
    newData: data.newData,
    removedData: data.removedData,
    copiedData: data.copiedData,
    changedData: data.changedData,
    diagnostics: [
      ...instrumentation(post),
      ...unknownSections(comparison.post),
      ...tableChanges(comparison.pre.unit, comparison.post.unit),
      ...exportChanges(pre, post),
      ...data.diagnostics,
      ...functions.diagnostics,
      ...pointersInto(comparison, replaced),
      ...hookProblems(comparison, hooks, replaced),
      ...types,
      ...(hasNewCode ? exportTypeChanges(post.path, crcs, told) : []),
    ],
    unchanged: functions.unchanged,
  };
}
