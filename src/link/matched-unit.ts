/**
 * A unit of an update, matched: the unit itself, and what updates below have brought for it.
 *
 * The replacement code of an update below lies in that update's module. It was linked by us, from an object that
 * the update on top carries, so it is matched as any unit is: byte for byte, strictly, with the module as its target.
 */
import { MatchError } from '../diagnostics/error.ts';
import type { ObjectFile } from '../elf/model.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type SymbolScope, scopeOf, updateScope } from '../kernel/symbol-scope.ts';
import { type MatchOptions, matchUnit, type UnitMatch, type UnitMismatch } from '../match/match-unit.ts';
import { updateModule } from '../update/update-id.ts';
import { freezeBranches, type KeyReader } from './frozen-branches.ts';
import { keyState } from './key-state.ts';
import type { ObjectsOfUnit } from './update-objects.ts';

export interface MatchedUnit {
  readonly match: UnitMatch;
  /** Matches of the replacement objects of updates below, by their IDs. */
  readonly below: ReadonlyMap<string, UnitMatch>;
}

/** Keys of static branches as the update's linker found them; all it has is their names. */
function keysByName(object: ObjectFile, kernel: Kernel, scope: SymbolScope): KeyReader {
  const state = keyState(kernel, object.path);
  return {
    ...state,
    addressOf: ({ symbol }) => {
      const { name, place } = object.symbols[symbol] ?? { name: '', place: 'undefined' };
      const found = place === 'undefined' ? scope.reachable(name) : [];
      const [first] = found;
      if (first === undefined || found.every(({ address }) => !state.isReadOnly(address))) return undefined;
      if (found.every(({ address }) => address === first.address)) return first.address;
      throw new MatchError(
        'failed_to_find',
        `${object.path}: kallsyms has ${found.length} keys named ${name}`,
        {
          hint: 'the name does not tell which of them the update below was linked with',
        },
      );
    },
  };
}

/**
 * Matches a unit and what it is on top of. `on`: IDs of all updates below, whose modules must be loaded.
 * Stops at the first mismatch.
 */
export function matchWithBelow(
  unit: ObjectsOfUnit,
  on: readonly string[],
  kernel: Kernel,
  options: MatchOptions,
): MatchedUnit | UnitMismatch {
  const match = matchUnit(unit.pre, kernel, { ...options, target: unit.target });
  if (match.kind === 'mismatch') return match;
  const below = new Map<string, UnitMatch>();
  const modules = on.map(updateModule);
  for (const { id, replacement } of unit.on) {
    const scope = updateScope(kernel, updateModule(id), modules, scopeOf(kernel, unit.target));
    const frozen = freezeBranches(replacement, keysByName(replacement, kernel, scope));
    const { tables, patches } = options;
    const result = matchUnit(frozen, kernel, {
      ...(tables === undefined ? {} : { tables }),
      ...(patches === undefined ? {} : { patches }),
      target: scope.target,
      scope,
    });
    if (result.kind === 'mismatch') return result;
    below.set(id, result);
  }
  return { match, below };
}
