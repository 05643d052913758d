/**
 * Matches many units with one kernel, at rest or running. This runs on the host and, with the same code, in a guest.
 *
 * Objects are read some dozens at a time: names are looked up for all of them at once, since a running kernel's list
 * of symbols is scanned for each set of names, and memory need not hold a thousand objects.
 */
import { readFile } from 'node:fs/promises';
import { STT_FUNC } from '../../src/elf/constants.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import type { Kernel, KernelSymbol } from '../../src/kernel/kernel.ts';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import { matchUnit, type UnitMatch, type UnitMismatch } from '../../src/match/match-unit.ts';
import { reportMismatch } from '../../src/match/mismatch-report.ts';
import { RunTables } from '../../src/match/run-tables.ts';
import { noPatches, type TextPatches } from '../../src/match/text-patch.ts';
import { matchedSections, namesToLookUp } from '../../src/match/text-sections.ts';
import { addReasons, coverageOf, isFill, type MatchedRange } from './text-coverage.ts';
import type { CompiledUnit, MatchRun, UnitResult } from './unit-result.ts';

/** What matching says of a unit. */
type MatchingResult = Omit<UnitResult, 'path' | 'group' | 'target' | 'milliseconds'>;

const UNITS_AT_ONCE = 64;

export interface MatchedKernel {
  readonly kernel: Kernel;
  readonly symbols: () => Iterable<KernelSymbol>;
  /** Modules that it does not have, and why. */
  readonly missing: ReadonlyMap<string, string>;
  readonly patches?: TextPatches;
}

/** Functions in the text that is matched. */
function functionNames(object: ObjectFile, target: string, isWanted: (section: number) => boolean): string[] {
  const sections = new Set(matchedSections(object, target).map(({ index }) => Number(index)));
  return object.symbols
    .filter(({ type, place }) => type === STT_FUNC && typeof place === 'number')
    .filter(({ place }) => sections.has(Number(place)) && isWanted(Number(place)))
    .map(({ name }) => name);
}

function matchedResult(
  object: ObjectFile,
  kernel: Kernel,
  { text, target, compared, explained }: UnitMatch,
): MatchingResult {
  const placed = new Set([...text.keys()].map(Number));
  const names = functionNames(object, target, (section) => placed.has(section));
  return {
    outcome: 'match',
    reason: '',
    bytes: compared,
    explained: Object.fromEntries(explained),
    text: [...text].map(([index, { base, run }]) => ({
      section: object.sections[index]?.name ?? '',
      start: base,
      size: run.length,
    })),
    toldApart: target === VMLINUX ? names.filter((name) => kernel.named(name).length > 1) : [],
    unplaced: functionNames(object, target, (section) => !placed.has(section)),
  };
}

async function mismatchedResult(
  object: ObjectFile,
  target: string,
  { mismatch }: UnitMismatch,
): Promise<MatchingResult> {
  const { summary, cause } = await reportMismatch(mismatch);
  return {
    outcome: 'mismatch',
    reason: `${summary} (${cause})`,
    bytes: 0,
    explained: {},
    text: [],
    toldApart: [],
    unplaced: functionNames(object, target, () => true),
  };
}

function notCompared({ path, group, target }: CompiledUnit, reason: string): UnitResult {
  return {
    path,
    group,
    target,
    outcome: 'not compared',
    reason,
    milliseconds: 0,
    bytes: 0,
    explained: {},
    text: [],
    toldApart: [],
    unplaced: [],
  };
}

/** Every unit's result, in their order, and the time of looking up and matching, in milliseconds. */
export async function matchEach(
  units: readonly CompiledUnit[],
  { kernel, missing, patches = noPatches }: MatchedKernel,
  onProgress: (done: number) => void = () => undefined,
): Promise<{ readonly results: readonly UnitResult[]; readonly milliseconds: number }> {
  const tables = new RunTables(kernel);
  const results: UnitResult[] = [];
  let milliseconds = 0;
  for (let first = 0; first < units.length; first += UNITS_AT_ONCE) {
    const some = await Promise.all(
      units.slice(first, first + UNITS_AT_ONCE).map(async (unit) => ({
        unit,
        object: readObject(await readFile(unit.file), unit.path),
      })),
    );
    const beforeLookup = performance.now();
    kernel.prefetch(some.flatMap(({ unit, object }) => namesToLookUp(object, unit.target)));
    milliseconds += performance.now() - beforeLookup;
    for (const { unit, object } of some) {
      const { path, group, target } = unit;
      const reason = missing.get(target);
      if (reason !== undefined) {
        results.push(notCompared(unit, reason));
        continue;
      }
      const start = performance.now();
      const match = matchUnit(object, kernel, { tables, target, patches });
      const spent = performance.now() - start;
      milliseconds += spent;
      const result =
        match.kind === 'match'
          ? matchedResult(object, kernel, match)
          : await mismatchedResult(object, target, match);
      results.push({ path, group, target, milliseconds: spent, ...result });
    }
    onProgress(results.length);
  }
  return { results, milliseconds };
}

/** Matches all units, and counts how much of the kernel's text they are. */
export async function matchUnits(
  units: readonly CompiledUnit[],
  matched: MatchedKernel,
  onProgress?: (done: number) => void,
): Promise<MatchRun> {
  const { results, milliseconds } = await matchEach(units, matched, onProgress);
  const { kernel } = matched;
  const ranges = results
    .filter(({ target }) => target === VMLINUX)
    .flatMap(({ path, group, text }) => text.map((each): MatchedRange => ({ ...each, path, group })));
  const coverage = coverageOf(matched.symbols(), ranges, (start, size) => isFill(kernel.read(start, size)));
  return {
    release: kernel.release,
    units: [...results],
    coverage: { ...coverage, holes: addReasons(coverage.holes, results) },
    milliseconds,
  };
}
