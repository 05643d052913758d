/**
 * Matches all units of an update with the running kernel.
 */
import { MatchError } from '../diagnostics/error.ts';
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { namesToLink } from '../link/link-update.ts';
import { matchUnit, namesToLookUp, type UnitMatch } from '../match/match-unit.ts';
import { reportMismatch } from '../match/mismatch-report.ts';
import type { Update } from '../update/update.ts';
import type { LiveContext } from './context.ts';

/** The objects of an update, read once. */
export interface UpdateObjects {
  readonly units: readonly {
    readonly path: string;
    readonly pre: ObjectFile;
    readonly replacement: ObjectFile;
  }[];
  readonly core: ObjectFile;
  readonly stub: ObjectFile;
}

export function readObjects(update: Update): UpdateObjects {
  return {
    units: update.units.map(({ path, pre, replacement }) => ({
      path,
      pre: readObject(pre, path),
      replacement: readObject(replacement, `${path} (replacement)`),
    })),
    core: readObject(update.core, 'core.o'),
    stub: readObject(update.stub, 'stub.o'),
  };
}

/** Everything that the whole apply asks kallsyms for, so that it is scanned once. */
export function prefetchSymbols(objects: UpdateObjects, kernel: Kernel): void {
  const pre = objects.units.map((unit) => unit.pre);
  const replacements = objects.units.map((unit) => unit.replacement);
  kernel.prefetch([
    ...pre.flatMap(namesToLookUp),
    ...namesToLink(replacements, objects.stub),
    ...namesToLink([], objects.core),
  ]);
}

/** Throws MatchError (exit 4) with function, offset and both disassemblies at the first mismatch. */
export async function matchUpdate(
  objects: UpdateObjects,
  kernel: Kernel,
  context: LiveContext,
): Promise<readonly UnitMatch[]> {
  const matches: UnitMatch[] = [];
  for (const { path, pre } of objects.units) {
    context.onStep(`match ${path}`);
    const result = matchUnit(pre, kernel);
    if (result.kind === 'match') {
      matches.push(result);
      continue;
    }
    const report = await reportMismatch(result.mismatch);
    const code = result.mismatch.kind === 'symbol' ? result.mismatch.reason : 'no_match';
    throw new MatchError(code, report.summary, {
      hint: report.cause,
      details: {
        unit: path,
        name: result.mismatch.name,
        ...(result.mismatch.kind === 'code' ? { offset: result.mismatch.offset } : {}),
        running: report.running,
        source: report.source,
      },
    });
  }
  return matches;
}
