/**
 * What one unit of an update refers to in another one.
 *
 * As in the kernel's own link, the nearest definition counts: of the unit's own target, then of the kernel proper, then what
 * other modules export. That the patch does export it was seen when the update was made (diff/module-references.ts);
 * replacement code has no table of exports. The kernel proper sees nothing of modules.
 */
import { MatchError } from '../diagnostics/error.ts';
import { STB_GLOBAL } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import type { UnitMatch } from '../match/match-unit.ts';
import { addressInUnit } from './kernel-symbols.ts';
import type { LinkedSymbol } from './link-object.ts';

interface Unit {
  readonly match: UnitMatch;
  readonly replacement: ObjectFile;
}

function definedNew(
  units: readonly Unit[],
  name: string,
  isAsked: (unit: Unit) => boolean,
): readonly LinkedSymbol[] {
  return units.flatMap((unit, object) => {
    const symbol = isAsked(unit)
      ? unit.replacement.symbols.find(
          (each) => each.name === name && each.binding === STB_GLOBAL && typeof each.place === 'number',
        )
      : undefined;
    return symbol === undefined ? [] : [{ object, symbol: symbol.index }];
  });
}

/** Whether a name cannot be about another module: the user is no module, or the name meant something before the patch. */
function isElsewhere({ match }: Unit, name: string): boolean {
  return match.target === VMLINUX || match.values.has(name) || isGlobalIn(match, name);
}

function isGlobalIn({ object }: UnitMatch, name: string): boolean {
  return object.symbols.some(
    (each) => each.name === name && each.binding === STB_GLOBAL && typeof each.place === 'number',
  );
}

function refuseDoubt(user: Unit, name: string, found: number): void {
  const reachable = user.match.scope.reachable(name).length;
  if (found + Number(reachable > 0) < 2) return;
  throw new MatchError(
    'failed_to_find',
    `${user.match.object.path}: ${name}: the update has ${found} in other modules, and the kernel has ${reachable}, expected one in all`,
    { hint: 'give what the patch brings another name', details: { name, found, reachable } },
  );
}

/** A new function or object that another unit brings under a global name. Throws MatchError where there are several. */
export function broughtBy(units: readonly Unit[], user: Unit, name: string): LinkedSymbol | undefined {
  const { target } = user.match;
  const near = definedNew(units, name, ({ match }) => match.target === VMLINUX || match.target === target);
  if (near.length > 0 || isElsewhere(user, name)) return near[0];
  const others = definedNew(units, name, ({ match }) => match.target !== target);
  if (others.length > 0) refuseDoubt(user, name, others.length);
  return others[0];
}

/** What another module of the update has had all along, and exports since the patch: its original address. */
export function newlyExported(units: readonly Unit[], user: Unit, name: string): Address | undefined {
  if (isElsewhere(user, name) || user.match.scope.reachable(name).length > 0) return undefined;
  const others = units.filter(
    ({ match }) =>
      match.target !== VMLINUX &&
      match.target !== user.match.target &&
      match.object.symbols.some((each) => each.name === name && typeof each.place === 'number'),
  );
  const [only, ...more] = others;
  if (only === undefined) return undefined;
  if (more.length > 0) refuseDoubt(user, name, others.length);
  return addressInUnit(only.match, name);
}
