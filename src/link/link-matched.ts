import { InternalError } from '../diagnostics/error.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Update } from '../update/update.ts';
import { type CoreSymbols, type LinkedModule, linkUpdate } from './link-update.ts';
import type { MatchedUnit } from './matched-unit.ts';
import type { UpdateObjects } from './update-objects.ts';

/** Links an update whose units have been matched, in their order. Throws as `linkUpdate`. */
export function linkMatched(
  update: Update,
  objects: UpdateObjects,
  matches: readonly MatchedUnit[],
  kernel: Kernel,
  core: CoreSymbols,
): LinkedModule {
  return linkUpdate(
    {
      id: update.id,
      on: objects.on,
      units: matches.map((matched, i) => {
        const replacement = objects.units[i]?.replacement;
        const unit = update.units[i];
        if (replacement === undefined || unit === undefined) {
          throw new InternalError(
            'unexpected',
            `${update.id}: ${matches.length} matches, unit ${i} is missing`,
          );
        }
        const { functions, hooks, references } = unit;
        return { ...matched, replacement, functions, hooks, references };
      }),
      stub: objects.stub,
      moduleLayoutCrc: update.kernel.moduleLayoutCrc,
      resident: update.units.some((unit) => unit.escapes.escapes),
    },
    kernel,
    core,
  );
}
