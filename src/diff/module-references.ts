/**
 * References from one target of an update to what the patch brings in another one.
 *
 * All replacement code of an update lies in one module, so that any of it could be bound to any other. But the patched
 * source has to be one that could be built: a module refers to what the kernel proper has and what other modules export,
 * and the kernel proper to nothing in a module (modpost, and the link of vmlinux, refuse the rest). Each unit is compiled
 * alone, where the name is just undefined; so the names are looked at here, of all units together.
 *
 * What another module has had all along, and exports since the patch, is found by matching the unit that has it: this one
 * must be part of the update then.
 */
import { STB_LOCAL } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import { exportedNames } from '../kernel/tables/exported-names.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { Replacement } from './replacement.ts';

const VMLINUX = 'vmlinux';

export interface UnitOfTarget {
  readonly path: string;
  readonly target: string;
  readonly pre: ObjectFile;
  readonly post: ObjectFile;
  /** Undefined if the update takes nothing of the unit. */
  readonly replacement: Replacement | undefined;
}

/** A name that a unit of a module has, or exports, since the patch. */
interface FreshName {
  readonly unit: UnitOfTarget;
  readonly isNew: boolean;
  readonly isExported: boolean;
}

function globalsOf({ symbols }: ObjectFile): ReadonlySet<string> {
  return new Set(
    symbols.flatMap(({ name, binding, place }) =>
      binding !== STB_LOCAL && typeof place === 'number' ? [name] : [],
    ),
  );
}

function freshNames(unit: UnitOfTarget): readonly (readonly [string, FreshName])[] {
  const had = new Set(
    unit.pre.symbols.flatMap(({ name, place }) => (typeof place === 'number' ? [name] : [])),
  );
  const globals = globalsOf(unit.pre);
  const [before, after] = [exportedNames(unit.pre), exportedNames(unit.post)];
  return [...globalsOf(unit.post)].flatMap((name) => {
    const isExported = after.has(name) && !before.has(name);
    if (globals.has(name) && !isExported) return [];
    return [[name, { unit, isNew: !had.has(name), isExported }] as const];
  });
}

/** Names of the kernel, or of another unit, that the replacement code uses and the unit did not use before. */
function newReferences({ pre, replacement }: UnitOfTarget): readonly string[] {
  const known = new Set(pre.symbols.map(({ name }) => name));
  return (replacement?.references ?? []).flatMap(({ symbol, scope, weak }) =>
    scope === 'global' && !weak && !known.has(symbol) ? [symbol] : [],
  );
}

function describe(user: UnitOfTarget, name: string, { unit, isNew, isExported }: FreshName): Diagnostic[] {
  const there = `${unit.path} of module ${unit.target}`;
  const at = {
    code: 'module_reference',
    severity: 'error',
    location: { unit: user.path, symbol: name },
  } as const;
  if (user.target === VMLINUX) {
    const message = `${user.path}: refers to ${name}, which ${there} has: the kernel proper cannot be linked with what is in a module`;
    return [{ ...at, message, hint: `define ${name} in a file of the kernel proper` }];
  }
  if (!isExported) {
    const message = `${user.path}: refers to ${name}, which ${there} does not export: ${user.target} could not be linked with it`;
    return [{ ...at, message, hint: 'export it in the patch, or define it in a file of the kernel proper' }];
  }
  if (isNew || unit.replacement !== undefined) return [];
  const message = `${user.path}: refers to ${name}, which ${there} exports since the patch, and no code of that unit changes: it is no part of the update, and ${name} is not found`;
  const hint = `add a function to ${unit.path} that does what ${name} is used for, export it, and use that one`;
  return [{ ...at, message, hint }];
}

/**
 * What speaks against references of replacement code to other modules of the update.
 * @param units all that were compared
 * @param isExported whether the kernel, or one of its modules, exports a name already
 */
export async function moduleReferences(
  units: readonly UnitOfTarget[],
  isExported: () => Promise<(name: string) => boolean>,
): Promise<readonly Diagnostic[]> {
  const inModules = units.filter(({ target }) => target !== VMLINUX);
  if (inModules.length === 0 || units.every(({ target }) => target === units[0]?.target)) return [];
  const fresh = inModules.flatMap(freshNames);
  const found = units.flatMap((user) =>
    newReferences(user).flatMap((name) => {
      const isOurs = ({ target, post }: UnitOfTarget): boolean =>
        (target === user.target || target === VMLINUX) && globalsOf(post).has(name);
      const [, other] = fresh.find(([each, { unit }]) => each === name && unit.target !== user.target) ?? [];
      return other === undefined || units.some(isOurs) ? [] : [{ user, name, other }];
    }),
  );
  if (found.length === 0) return [];
  const isKnown = await isExported();
  return found.flatMap(({ user, name, other }) => (isKnown(name) ? [] : describe(user, name, other)));
}
