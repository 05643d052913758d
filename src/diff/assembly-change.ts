/**
 * Differencing of a unit from assembly: its functions are taken apart first, then all is as for C, but for
 * what cannot be moved.
 */
import type { ObjectFile } from '../elf/model.ts';
import type { SectionFacts } from '../kernel/tables/classify-section.ts';
import { type SplitObject, splitFunctions } from './assembly-split.ts';
import type { Comparison } from './compare-items.ts';
import type { Diagnostic } from './diagnostic.ts';
import { compareUnit, diffCompared } from './diff-unit.ts';
import type { UnitChange } from './unit-change.ts';

export interface AssemblyChange {
  /** Of both objects with a section for each function. */
  readonly comparison: Comparison;
  readonly change: UnitChange;
}

function immovable({ object: { path } }: SplitObject, name: string, what: string): Diagnostic {
  return {
    code: 'immovable_code',
    severity: 'error',
    message: `${path}: ${name}: cannot be replaced: ${what}`,
    location: { unit: path, symbol: name },
    hint: 'patch the functions that call this assembly instead',
  };
}

/** Functions that are to be replaced or added, and cannot be. */
function obstacles(pre: SplitObject, post: SplitObject, change: UnitChange): readonly Diagnostic[] {
  const before = new Map(change.replaced.map((each) => [each.post.name, each.pre.name]));
  const names = [...before.keys(), ...change.newFunctions.map(({ name }) => name)];
  return names.flatMap((name) => {
    const old = pre.obstacles.get(before.get(name) ?? '') ?? [];
    const both = new Set([...old, ...(post.obstacles.get(name) ?? [])]);
    return [...both].map((what) => immovable(post, name, what));
  });
}

/**
 * Finds what a patch changes in a unit from assembly.
 * @param pre the object of the original source
 * @param post the object of the patched source, assembled with the same flags
 * @throws FormatError if a special section has another layout than expected
 */
export function diffAssembly(pre: ObjectFile, post: ObjectFile, facts?: SectionFacts): AssemblyChange {
  const before = splitFunctions(pre);
  const after = splitFunctions(post);
  const compared = compareUnit(before.object, after.object, facts);
  const change = diffCompared(compared);
  const diagnostics = [...change.diagnostics, ...obstacles(before, after, change)];
  return { comparison: compared.comparison, change: { ...change, diagnostics } };
}
