/**
 * Where the symbols are that replacement code and the core refer to.
 *
 * What the matched code uses was learnt from it. A symbol that it does not use is taken by name, if
 * the name is unique: for a global name, among the global symbols of the unit's own target, then of the kernel proper, then of
 * the other modules. Nothing is guessed: an ambiguous name that matching did not settle is a refusal.
 */
import { MatchError } from '../diagnostics/error.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import type { Kernel, KernelSymbol } from '../kernel/kernel.ts';
import { type SymbolScope, VMLINUX } from '../kernel/symbol-scope.ts';
import { addressOf, type UnitMatch } from '../match/match-unit.ts';

/** nm's letters are upper-case for global symbols; weak ones are `w` and `v`. */
function isGlobal(symbol: KernelSymbol): boolean {
  return /[A-Zwv]/.test(symbol.type);
}

const OTHER_KERNEL =
  'the update was made for another kernel, or refers to something that cannot be told apart by name';
const OTHER_MODULE = `${OTHER_KERNEL}, or to what a module exports that is not loaded`;

function notFound(
  user: string,
  name: string,
  found: readonly KernelSymbol[],
  hint: string = OTHER_KERNEL,
): MatchError {
  const what = found.length === 0 ? 'no symbol' : `${found.length} symbols`;
  return new MatchError('failed_to_find', `${user}: kallsyms has ${what} named ${name}, expected one`, {
    hint,
    details: { user, name, found: found.length },
  });
}

/** The only address of these symbols. */
function onlyAddress(found: readonly KernelSymbol[], user: string, name: string, hint?: string): Address {
  const [only] = found;
  if (only === undefined || found.some((each) => each.address !== only.address)) {
    throw notFound(user, name, found, hint);
  }
  return only.address;
}

/** A global symbol of the kernel proper, by its unique name. */
export function globalAddress(kernel: Kernel, user: string, name: string): Address {
  return onlyAddress(kernel.named(name).filter(isGlobal), user, name);
}

/** Any symbol of the kernel proper, by its unique name. */
export function uniqueAddress(kernel: Kernel, user: string, name: string): Address {
  return onlyAddress(kernel.named(name), user, name);
}

/** The only global symbol of this name, or else the only one at all: what the core is bound by. */
export function anyAddress(kernel: Kernel, user: string, name: string): Address {
  return kernel.named(name).some(isGlobal)
    ? globalAddress(kernel, user, name)
    : uniqueAddress(kernel, user, name);
}

/**
 * A global symbol as the module loader would find it: the target's own, the kernel's, or what another module exports. In a
 * running kernel a module's symbol has an upper-case letter only if EXPORT_SYMBOL exports it (module-exports.ts): one of
 * the target that has not may be a global all the same, and is taken if there is nothing else.
 */
function globalInScope(scope: SymbolScope, user: string, name: string): Address {
  const reachable = scope.reachable(name);
  const isOwn = ({ module }: KernelSymbol): boolean => module === scope.target;
  const own = reachable.filter(isOwn);
  const ownGlobals = own.filter(isGlobal);
  if (ownGlobals.length > 0) return onlyAddress(ownGlobals, user, name);
  const builtIn = reachable.filter((each) => each.module === undefined && isGlobal(each));
  const others = reachable.filter((each) => each.module !== undefined && !isOwn(each));
  const hint = scope.target === VMLINUX ? undefined : OTHER_MODULE;
  return onlyAddress([...own, ...(builtIn.length > 0 ? builtIn : others)], user, name, hint);
}

/**
 * A symbol that a matched unit refers to by a global name. A weak reference to what the kernel does not have
 * is to address 0, as ld made it when the kernel was linked.
 */
export function globalInUnit(match: UnitMatch, name: string, weak: boolean): Address {
  const { scope } = match;
  if (weak && scope.reachable(name).length === 0) return toAddress(0n);
  return match.values.get(name) ?? globalInScope(scope, match.object.path, name);
}

/**
 * A function or object of a matched unit, by its name in the unit as it was compiled plainly: its
 * section's base, plus its offset.
 */
export function addressInUnit(match: UnitMatch, name: string): Address {
  const { object } = match;
  const found = object.symbols.filter((symbol) => symbol.name === name && typeof symbol.place === 'number');
  const [symbol] = found;
  if (symbol === undefined || found.length > 1) {
    throw new MatchError(
      'failed_to_find',
      `${object.path}: ${found.length} symbols named ${name}, expected one`,
      { hint: 'the name does not tell which of them the patch means' },
    );
  }
  const at = typeof symbol.place === 'number' ? addressOf(match, symbol.place, symbol.value) : undefined;
  if (at !== undefined) return at;
  return onlyAddress(match.scope.own(name), object.path, name);
}
