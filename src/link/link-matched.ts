import { InternalError, KspliceError, MissingError, RefusedError } from '../diagnostics/error.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Update } from '../update/update.ts';
import { type LivepatchToLink, linkLivepatch } from './link-livepatch.ts';
import { type CoreSymbols, type LinkedModule, linkUpdate, type UpdateToLink } from './link-update.ts';
import type { MatchedUnit } from './matched-unit.ts';
import { NEEDS_LIVEPATCH } from './old-code.ts';
import type { UpdateObjects } from './update-objects.ts';

/** The update's units with what was matched, in their order. */
function toLink(
  update: Update,
  objects: UpdateObjects,
  matches: readonly MatchedUnit[],
): Omit<UpdateToLink, 'stub'> {
  return {
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
    moduleLayoutCrc: update.kernel.moduleLayoutCrc,
    resident: update.units.some((unit) => unit.escapes.escapes),
  };
}

/** What can be done about a function that only livepatch can replace: whether that can is tried, not guessed. */
function otherEngine(
  update: Update,
  objects: UpdateObjects,
  matches: readonly MatchedUnit[],
  kernel: Kernel,
): string {
  try {
    linkMatchedLivepatch(update, objects, matches, kernel);
    return "the kernel's livepatch can have it: ksplice apply --engine livepatch";
  } catch (error) {
    if (!(error instanceof KspliceError)) throw error;
    return `only the livepatch engine could, and it cannot either: ${error.message}`;
  }
}

/** Links an update whose units have been matched, in their order. Throws as `linkUpdate`. */
export function linkMatched(
  update: Update,
  objects: UpdateObjects,
  matches: readonly MatchedUnit[],
  kernel: Kernel,
  core: CoreSymbols,
): LinkedModule {
  try {
    return linkUpdate({ ...toLink(update, objects, matches), stub: objects.stub }, kernel, core);
  } catch (error) {
    if (!(error instanceof RefusedError) || error.hint !== NEEDS_LIVEPATCH) throw error;
    throw new RefusedError(error.code, error.message, {
      hint: otherEngine(update, objects, matches, kernel),
    });
  }
}

/** The same for the kernel's livepatch. Throws as `linkLivepatch`, and MissingError if the update is not made for it. */
export function linkMatchedLivepatch(
  update: Update,
  objects: UpdateObjects,
  matches: readonly MatchedUnit[],
  kernel: Kernel,
  atRest?: LivepatchToLink['atRest'],
): LinkedModule {
  if (objects.livepatch === undefined) {
    throw new MissingError(
      'no_livepatch',
      `${update.id}: the update has no part for the kernel's livepatch`,
      {
        hint: 'it was made by an older ksplice, or for a kernel without CONFIG_LIVEPATCH: use the jump engine',
      },
    );
  }
  const { vermagic } = update.kernel;
  const linked = { ...toLink(update, objects, matches), stub: objects.livepatch, vermagic };
  return linkLivepatch(atRest === undefined ? linked : { ...linked, atRest }, kernel);
}
