/**
 * Matches all units of an update with the running kernel.
 */
import type { Kernel } from '../kernel/kernel.ts';
import { type MatchedUnit, matchWithBelow } from '../link/matched-unit.ts';
import type { UpdateObjects } from '../link/update-objects.ts';
import { modeOptions } from '../match/match-mode.ts';
import { mismatchError } from '../match/mismatch-report.ts';
import { RunTables } from '../match/run-tables.ts';
import type { LiveContext } from './context.ts';
import { textPatches } from './text-patches.ts';

/** Throws MatchError (exit 4) with function, offset and both disassemblies at the first mismatch. */
export async function matchUpdate(
  objects: UpdateObjects,
  kernel: Kernel,
  context: LiveContext,
): Promise<readonly MatchedUnit[]> {
  const matches: MatchedUnit[] = [];
  const tables = new RunTables(kernel);
  const mode = await modeOptions(objects.matching);
  const { units } = objects;
  for (const [index, unit] of units.entries()) {
    const count = units.length === 1 ? '' : `, ${index + 1} of ${units.length}`;
    context.onStep(`match ${unit.path}${count}`);
    const options = { ...mode, tables, patches: () => textPatches(kernel) };
    const result = matchWithBelow(unit, objects.on, kernel, options);
    if ('match' in result) {
      matches.push(result);
      continue;
    }
    throw await mismatchError(result.mismatch);
  }
  return matches;
}
