/**
 * Which of an update's targets are updated in memory, and which are skipped.
 *
 * A module that is not loaded can be skipped if the update carries it as a whole (`create --build-modules`) and the person
 * asks for it (`apply --partial`): then the fixed one is put where modprobe finds it. One that is loaded already as the fixed
 * one, as it is after a reboot, needs nothing.
 */
import { MissingError } from '../diagnostics/error.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import type { Update } from '../update/update.ts';
import type { PreparedUpdate } from './prepare-updates.ts';
import { targetNotLoaded } from './target-not-loaded.ts';

/** A target that is not updated in memory. */
export interface SkippedTarget {
  readonly name: string;
  /** What the fixed module says of itself. */
  readonly srcversion: string;
  /** The fixed module is loaded; else none is. */
  readonly isLoaded: boolean;
}

/** What the machine says of its modules. */
export interface LoadedModules {
  readonly isLoaded: (name: string) => boolean;
  readonly srcversionOf: (name: string) => string | undefined;
}

/** Throws MissingError for a target that is not loaded and cannot be skipped. */
export function chooseSkipped(
  update: Update,
  isPartial: boolean,
  { isLoaded, srcversionOf }: LoadedModules,
): readonly SkippedTarget[] {
  const targets = new Set(update.units.map(({ target }) => target).filter((target) => target !== VMLINUX));
  return [...targets].flatMap((name): SkippedTarget[] => {
    const module = update.modules.find((each) => each.name === name);
    if (isLoaded(name)) {
      const isFixed = module !== undefined && srcversionOf(name) === module.srcversion;
      return isFixed ? [{ name, srcversion: module.srcversion, isLoaded: true }] : [];
    }
    if (!isPartial) throw targetNotLoaded(update.id, name, module !== undefined);
    if (module === undefined) {
      throw new MissingError(
        'modules_not_built',
        `${update.id}: the module ${name} is not loaded, and the update does not carry it as a whole`,
        {
          hint: `make the update with \`ksplice create --build-modules\`, or load the module (modprobe ${name}) first`,
          details: { id: update.id, module: name },
        },
      );
    }
    return [{ name, srcversion: module.srcversion, isLoaded: false }];
  });
}

/** The update without the units of some targets: what there is to do in memory. */
export function withoutTargets(prepared: PreparedUpdate, skipped: readonly SkippedTarget[]): PreparedUpdate {
  if (skipped.length === 0) return prepared;
  const isKept = ({ target }: { readonly target: string }): boolean =>
    !skipped.some(({ name }) => name === target);
  const { update, objects } = prepared;
  return {
    update: { ...update, units: update.units.filter(isKept) },
    objects: { ...objects, units: objects.units.filter(isKept) },
  };
}
