import type { AffectedUnit, BuildUnitsOptions } from './build-units.ts';
import { includersOf, readInclusions } from './included-sources.ts';
import { locateUnits, type UnitPlace } from './locate-units.ts';
import { type Refusal, refusedInclusion } from './touched-files.ts';
import { findElsewhere } from './units-elsewhere.ts';

/** The units that patched `.c` and `.S` files are, or that include them. */
export async function findAffectedUnits(
  options: BuildUnitsOptions,
  sources: readonly string[],
): Promise<{
  readonly units: readonly AffectedUnit[];
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
}> {
  if (sources.length === 0) return { units: [], refusals: [], notes: [] };
  const { tree, onProgress } = options;
  const inclusions = await readInclusions(tree, onProgress);
  const includers = new Map(sources.map((source) => [source, includersOf(source, inclusions)]));
  const candidates = [...sources, ...[...includers.values()].flat()].filter((file) => /\.[cS]$/.test(file));
  const beside = await locateUnits(tree, [...new Set(candidates)], options);
  const places = await findElsewhere(tree, beside, options);

  const refusals: Refusal[] = [];
  const notes: string[] = [];
  const patchedIn = new Map<string, string[]>();
  for (const source of sources) {
    const inclusion = (includers.get(source) ?? [])
      .map((includer) => refusedInclusion(includer, source))
      .find((reason) => reason !== undefined);
    if (inclusion !== undefined) {
      refusals.push({ file: source, message: `${source} ${inclusion}` });
      continue;
    }
    const units = [source, ...(includers.get(source) ?? [])].filter(
      (file) => places.get(file)?.kind === 'unit',
    );
    if (units.length === 0) notes.push(`${source}: ignored: not in this configuration`);
    for (const unit of units) patchedIn.set(unit, [...(patchedIn.get(unit) ?? []), source]);
  }
  const units = [...patchedIn]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([source, patched]): AffectedUnit[] => {
      const place: UnitPlace | undefined = places.get(source);
      return place?.kind === 'unit' ? [{ source, command: place.command, patched }] : [];
    });
  return { units, refusals, notes };
}
