/**
 * Links an update's replacement code, bound to where everything is in this kernel, with the stub and
 * the tables for the core, into the module `ksplice_ID`.
 */
import { InternalError, RefusedError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import { STT_FUNC } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import { type Address, addressAt, toAddress } from '../kernel/address.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { updateScope } from '../kernel/symbol-scope.ts';
import type { HookKind } from '../kernel/tables/hooks.ts';
import type { JumpLabelPlace } from '../kernel/tables/rewritten-place.ts';
import type { UnitMatch } from '../match/match-unit.ts';
import { updateModule } from '../update/update-id.ts';
import { broughtBy, newlyExported } from './between-units.ts';
import { freezeBranches, frozenKeys } from './frozen-branches.ts';
import { addressInUnit, anyAddress, globalInUnit } from './kernel-symbols.ts';
import { keyState } from './key-state.ts';
import { linkModule } from './link-module.ts';
import type { ExportedSymbol, LinkedSymbol, LinkObject, LivepatchSymbol } from './link-object.ts';
import { PREEMPTION_KEY, refused } from './livepatch-limits.ts';
import type { MatchedUnit } from './matched-unit.ts';
import { nameModule } from './module-stub.ts';
import { checkLayout, checkSite, oldRanges, refusePatched } from './old-code.ts';
import { type HookCall, type OldRange, type Trampoline, updateTables } from './update-tables.ts';

export interface ReplacedFunction {
  /** Name of the replacement in the replacement object. */
  readonly name: string;
  /** Name of the old function in the unit, or in the owner's replacement object. */
  readonly preName: string;
  /** The update below whose code is replaced. */
  readonly owner?: string | undefined;
  readonly site: { readonly offset: number; readonly size: number };
}

export interface UnitReference {
  readonly symbol: string;
  readonly scope: 'unit' | 'global';
  readonly preName: string;
  /** The update below that brought it. */
  readonly owner?: string | undefined;
  /** The kernel need not have it: `if (optional_function) optional_function()`. */
  readonly weak: boolean;
}

export interface UnitToLink extends MatchedUnit {
  readonly replacement: ObjectFile;
  readonly functions: readonly ReplacedFunction[];
  /** New functions for the core to call. */
  readonly hooks: readonly { readonly kind: HookKind; readonly name: string }[];
  readonly references: readonly UnitReference[];
}

export interface UpdateToLink {
  readonly id: string;
  /** IDs of the updates below. */
  readonly on: readonly string[];
  readonly units: readonly UnitToLink[];
  readonly stub: ObjectFile;
  readonly moduleLayoutCrc: number | undefined;
  /** After an undo the module stays loaded. */
  readonly resident: boolean;
}

export interface LinkedModule {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Every address that the module was bound to. */
  readonly bound: readonly Address[];
  readonly trampolines: readonly Trampoline[];
}

/** A weak function that a strong one overrides lies in the kernel without a name, and nobody calls it. */
function checkNamed({ object, scope }: UnitMatch, name: string, start: Address): void {
  if (scope.own(name).some(({ address }) => address === start)) return;
  throw new RefusedError('refused', `${object.path}: kallsyms has no ${name} at ${hex(start)}`, {
    hint: 'another function of this name overrides it: a patch to this one would have no effect',
  });
}

/** The match in which a function or object of this owner is found: of the unit itself, or of what an update below brought. */
export function matchOf({ match, below }: UnitToLink, owner: string | undefined): UnitMatch {
  const found = owner === undefined ? match : below.get(owner);
  if (found === undefined)
    throw new InternalError('unexpected', `${match.object.path}: ${owner} is not matched`);
  return found;
}

/** The old code of a function, which nobody else may have changed. */
export function oldCodeOf(match: UnitMatch, name: string): readonly OldRange[] {
  const ranges = oldRanges(match, name);
  const [first] = ranges;
  if (first !== undefined) checkNamed(match, name, first.start);
  refusePatched(match, name, ranges);
  return ranges;
}

function trampolinesOf(unit: UnitToLink, number: number): readonly Trampoline[] {
  return unit.functions.map(({ name, preName, owner, site }) => {
    const match = matchOf(unit, owner);
    const ranges = oldCodeOf(match, preName);
    const [first] = ranges;
    checkLayout(match, preName, site.offset + site.size);
    if (first !== undefined) checkSite(preName, first, site.offset, site.size);
    return {
      name: preName,
      replacement: `${number}:${name}`,
      ranges,
      siteOffset: site.offset,
      siteSize: site.size,
    };
  });
}

/** Keys of jump labels as the unit's references resolve. */
function keyReader(
  kernel: Kernel,
  object: ObjectFile,
  resolve: (name: string) => Address | LinkedSymbol,
): Parameters<typeof freezeBranches>[1] {
  return {
    ...keyState(kernel, object.path),
    addressOf: (key: JumpLabelPlace['key']): Address | undefined => {
      const symbol = object.symbols[key.symbol];
      if (symbol?.place !== 'undefined') return undefined;
      const found = resolve(symbol.name);
      return typeof found === 'bigint' ? addressAt(found, key.addend) : undefined;
    },
  };
}

function global(symbol: string): UnitReference {
  return { symbol, scope: 'global', preName: symbol, weak: false };
}

/** What an update below brought under a global name for other units than this one is found by that name. */
function addressOf(
  unit: UnitToLink,
  { on, units }: UpdateToLink,
  kernel: Kernel,
  { scope, preName, owner, weak }: UnitReference,
): Address {
  if (scope === 'unit' || owner !== undefined) return addressInUnit(matchOf(unit, owner), preName);
  const modules = on.map(updateModule);
  const brought =
    unit.match.scope.reachable(preName).length > 0
      ? []
      : modules.flatMap((module) => updateScope(kernel, module, [], unit.match.scope).own(preName));
  const [only, second] = brought;
  if (only !== undefined && second === undefined) return only.address;
  return newlyExported(units, unit, preName) ?? globalInUnit(unit.match, preName, weak);
}

/**
 * A unit's replacement code, with what its references stand for.
 * @param bound gets every address that is referred to
 * @param refer what stands for a symbol of the kernel; its address, unless the kernel is to find it by itself
 * @param isAtRest how the kernel will be that the module is loaded into is not known
 */
export function unitObject(
  update: UpdateToLink,
  unit: UnitToLink,
  kernel: Kernel,
  bound: Set<Address>,
  refer: (name: string, address: Address) => Address | LivepatchSymbol | ExportedSymbol = (_, address) =>
    address,
  isAtRest = false,
): LinkObject {
  const references = new Map(unit.references.map((reference) => [reference.symbol, reference]));
  const addressOrOwn = (name: string): Address | LinkedSymbol => {
    const reference = references.get(name);
    const brought = reference?.scope === 'unit' ? undefined : broughtBy(update.units, unit, name);
    if (brought !== undefined) return brought;
    const address = addressOf(unit, update, kernel, reference ?? global(name));
    bound.add(address);
    return address;
  };
  const keys = keyReader(kernel, unit.replacement, addressOrOwn);
  const [frozen] = isAtRest ? frozenKeys(unit.replacement, keys) : [];
  if (frozen !== undefined) {
    throw refused(
      `${unit.replacement.path}: a branch by ${frozen}, which is set when a machine boots and then read-only`,
      'link it on the machine (ksplice apply)',
    );
  }
  const object = freezeBranches(unit.replacement, keys);
  const resolve = (name: string): Address | LinkedSymbol | LivepatchSymbol | ExportedSymbol => {
    const found = addressOrOwn(name);
    return typeof found === 'bigint' ? refer(references.get(name)?.preName ?? name, found) : found;
  };
  return { object, isModuleObject: false, resolve };
}

/** A symbol that one of the objects defines under a global name. */
export function definedIn(
  objects: readonly ObjectFile[],
  from: number,
  name: string,
): LinkedSymbol | undefined {
  for (const [i, object] of objects.entries()) {
    const symbol = object.symbols.find((each) => each.name === name && typeof each.place === 'number');
    if (symbol !== undefined) return { object: from + i, symbol: symbol.index };
  }
  return undefined;
}

export function replacementSymbol(units: readonly UnitToLink[], asked: string): LinkedSymbol {
  const [number, name] = [Number(asked.slice(0, asked.indexOf(':'))), asked.slice(asked.indexOf(':') + 1)];
  const symbol = units[number]?.replacement.symbols.find(
    (each) => each.name === name && each.type === STT_FUNC && typeof each.place === 'number',
  );
  if (symbol === undefined) throw new InternalError('unexpected', `no replacement for ${name}`);
  return { object: number, symbol: symbol.index };
}

/** Names that linking asks kallsyms for, besides those of matching. */
export function namesToLink(units: readonly ObjectFile[], stubs: readonly ObjectFile[]): readonly string[] {
  const undefinedNames = [...units, ...stubs].flatMap((object) =>
    object.symbols.filter((symbol) => symbol.place === 'undefined').map((symbol) => symbol.name),
  );
  return ['__start_ro_after_init', '__end_ro_after_init', PREEMPTION_KEY, ...undefinedNames];
}

/** The hooks of all units, in the order in which those of one kind are called. */
export function hookCalls(units: readonly UnitToLink[]): readonly HookCall[] {
  return units.flatMap((unit, i) => unit.hooks.map((hook) => ({ ...hook, function: `${i}:${hook.name}` })));
}

/** Symbols of the loaded core, by name. */
export type CoreSymbols = (name: string) => Address | undefined;

export function linkUpdate(update: UpdateToLink, kernel: Kernel, register: CoreSymbols): LinkedModule {
  const bound = new Set<Address>();
  const trampolines = update.units.flatMap((unit, i) => trampolinesOf(unit, i));
  const name = updateModule(update.id);
  const stub = nameModule(update.stub, name, update.moduleLayoutCrc);
  const hooks = hookCalls(update.units);
  const tables = updateTables(update.id, { trampolines, hooks, resident: update.resident });
  const own = [stub, tables];
  const first = update.units.length;
  const units = update.units.map((unit) => unitObject(update, unit, kernel, bound));
  const objects: readonly LinkObject[] = [
    ...units,
    {
      object: stub,
      isModuleObject: true,
      resolve: (wanted) =>
        definedIn(own, first, wanted) ?? register(wanted) ?? anyAddress(kernel, stub.path, wanted),
    },
    {
      object: tables,
      isModuleObject: true,
      resolve: (wanted) => replacementSymbol(update.units, wanted),
    },
  ];
  const { bytes } = linkModule({ objects, functionSuffix: `.${name}` });
  return { name, bytes, bound: [...bound].map(toAddress), trampolines };
}
