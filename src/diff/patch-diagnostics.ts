import type { Diagnostic, DiagnosticCode } from './diagnostic.ts';
import type { ItemPart, UnitChange } from './unit-change.ts';

export interface ChangedUnit {
  /** Path of the unit's object. */
  readonly path: string;
  /** What it is part of; `vmlinux` unless told. */
  readonly target?: string;
  readonly change: UnitChange;
}

/** What a running kernel does not get of a patch; alone, it would make an update without effect. */
const missingEffects: ReadonlySet<DiagnosticCode> = new Set<DiagnosticCode>([
  'init_code_changed',
  'init_data_changed',
  'exit_code_changed',
  'overridden_code_changed',
  'boot_option_changed',
  'boot_table_changed',
  'initcall_changed',
  'parameter_changed',
  'trace_table_changed',
  'export_added',
]);

const isGlobal = ({ scope }: ItemPart): boolean => scope === 'global';

/**
 * Global functions and objects that leave one unit and appear in another. In the kernel's own link everybody would
 * come to the new place. In one that runs, the old one stays: whoever is not changed goes on calling the old
 * function, and an object would be there twice, each with a state of its own.
 */
function movedDefinitions(units: readonly ChangedUnit[]): readonly Diagnostic[] {
  const left = new Map(
    units.flatMap(({ path, change }) =>
      [...change.removedFunctions.map(({ pre }) => pre), ...change.removedData]
        .filter(isGlobal)
        .map(({ name }) => [name, path] as const),
    ),
  );
  return units.flatMap(({ path, change }) => {
    const functions = change.newFunctions.map(({ post }) => ({
      part: post,
      why: 'goes on calling the old one',
    }));
    const objects = change.newData.map((part) => ({ part, why: 'goes on using the old one' }));
    return [...functions, ...objects].flatMap(({ part, why }): readonly Diagnostic[] => {
      const from = left.get(part.name);
      if (from === undefined || !isGlobal(part)) return [];
      const message = `${path}: ${part.name}: the patch moves it here from ${from}: who is not changed ${why}`;
      const location = { unit: path, section: part.sectionName, symbol: part.name };
      const hint = 'leave it in its file, and change it there';
      return [{ code: 'definition_moved', severity: 'error', message, location, hint }];
    });
  });
}

/** Two new definitions of one name, which could not be linked to one kernel. */
function doubleDefinitions(units: readonly ChangedUnit[]): readonly Diagnostic[] {
  const first = new Map<string, string>();
  return units.flatMap(({ path, target = 'vmlinux', change }) =>
    [...change.newFunctions.map(({ post }) => post), ...change.newData]
      .filter(isGlobal)
      .flatMap(({ name, sectionName }): readonly Diagnostic[] => {
        const other = first.get(`${target} ${name}`);
        first.set(`${target} ${name}`, other ?? path);
        if (other === undefined) return [];
        const message = `${path}: ${name}: the patch defines it here and in ${other}: they could not be linked`;
        const location = { unit: path, section: sectionName, symbol: name };
        const hint = 'give one of them another name, or make it static';
        return [{ code: 'name_taken', severity: 'error', message, location, hint }];
      }),
  );
}

/**
 * What there is to say of all units of a patch. An effect that is missing is a warning where functions are replaced,
 * in whatever unit, or a hook runs; an update that would have no effect at all is refused, for each of the reasons.
 */
export function patchDiagnostics(units: readonly ChangedUnit[]): readonly Diagnostic[] {
  const changes = units.map(({ change }) => change);
  const all = [
    ...changes.flatMap(({ diagnostics }) => diagnostics),
    ...movedDefinitions(units),
    ...doubleDefinitions(units),
  ];
  if (changes.some(({ replaced, hooks }) => replaced.length > 0 || hooks.length > 0)) return all;
  return all.map((each) =>
    each.severity === 'warning' && missingEffects.has(each.code)
      ? {
          ...each,
          severity: 'error',
          message: `${each.message}; nothing else of the patch has an effect on a running kernel`,
        }
      : each,
  );
}
