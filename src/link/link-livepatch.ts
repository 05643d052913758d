/**
 * Links an update as a module of the kernel's own livepatch.
 *
 * Objects, matches and tables are those of the jump engine's module (link-update.ts). What differs: livepatch finds the old
 * functions by name, and so are the symbols of the kernel named that the code refers to, each with its position among
 * those of the same name, which matching has proven: (name, position) is what livepatch's own look-up takes, in the order
 * of kallsyms. They are bound by livepatch, which knows how to bind those of a module late.
 *
 * Some references stay absolute, without a name, as the jump engine has them: what kallsyms has no name for at that address
 * (a local label); what is at address 0 (a weak symbol that is not there; the first per-CPU variable), which livepatch's
 * look-up takes for not found; and what the stub refers to, whose names are unique: livepatch goes through all of kallsyms
 * for each relocation, and the stub has more of them than most updates.
 *
 * A module that is linked at rest, for a kernel that does not run, has none of these (rest-symbols.ts), nor is the old code
 * at an address: it begins at a symbol. What depends on how a machine has booted is left to the module (core/stub/livepatch.c),
 * or refused.
 */
import { RefusedError } from '../diagnostics/error.ts';
import type { ObjectFile } from '../elf/model.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import type { Kernel, LoadedModule } from '../kernel/kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import type { ModuleNote } from '../update/module-note.ts';
import { updateModule } from '../update/update-id.ts';
import { anyAddress } from './kernel-symbols.ts';
import { linkModule } from './link-module.ts';
import type { ExportedSymbol, LinkObject, LivepatchSymbol } from './link-object.ts';
import {
  definedIn,
  hookCalls,
  type LinkedModule,
  matchOf,
  oldCodeOf,
  replacementSymbol,
  type UnitToLink,
  type UpdateToLink,
  unitObject,
} from './link-update.ts';
import {
  hasColdPart,
  isPreemptible,
  PREEMPTION_KEY,
  refuseEarlyUse,
  refuseHooks,
  refuseSleepingColdPart,
  refuseUnsuited,
  refuseUntraced,
} from './livepatch-limits.ts';
import { livepatchTables } from './livepatch-tables.ts';
import { nameModule } from './module-stub.ts';
import { noteObject } from './note-object.ts';
import { isKernelAddress } from './reach.ts';
import { type KernelAtRest, RestSymbols } from './rest-symbols.ts';
import { type Trampoline, updateTables } from './update-tables.ts';

export interface LivepatchToLink extends UpdateToLink {
  /** What the kernel's module loader compares; it tells how a kernel was built. */
  readonly vermagic: string;
  /** Where the kernel does not run: what it is, and what the module is to say of itself. */
  readonly atRest?: { readonly kernel: KernelAtRest; readonly note: ModuleNote };
}

function ownerOf(modules: readonly LoadedModule[], address: Address): LoadedModule | undefined {
  return modules.find(({ base, size }) => address >= base && address < base + BigInt(size));
}

/** Which of the symbols of a name one is, as livepatch counts; undefined if there is none at this address. */
function positionOf(kernel: Kernel, object: string, name: string, address: Address): number | undefined {
  const found = kernel.named(name, object === VMLINUX ? undefined : object);
  const index = found.findIndex((symbol) => symbol.address === address);
  if (index === -1 || address === 0n || name.includes(',')) return undefined;
  return found.length === 1 ? 0 : index + 1;
}

/** The symbol at an address, as livepatch would look it up; the address itself where it could not. */
function livepatchSymbol(
  kernel: Kernel,
  modules: readonly LoadedModule[],
  boundWith: string,
  name: string,
  address: Address,
): Address | LivepatchSymbol {
  const object = isKernelAddress(address) ? VMLINUX : ownerOf(modules, address)?.name;
  const position = object === undefined ? undefined : positionOf(kernel, object, name, address);
  if (object === undefined || position === undefined) return address;
  return { object, name, position, address, boundWith: object === VMLINUX ? VMLINUX : boundWith };
}

interface Replaced {
  readonly target: string;
  readonly trampoline: Trampoline;
  readonly old: LivepatchSymbol;
  readonly hasColdPart: boolean;
}

/** `preemptible`: false where that is not known yet, too. */
function replacedBy(
  unit: UnitToLink,
  number: number,
  kernel: Kernel,
  preemptible: boolean,
  isAtRest: boolean,
): readonly Replaced[] {
  const { object, target } = unit.match;
  return unit.functions.map((one) => {
    const { name, preName, site } = one;
    refuseUntraced(object.path, preName, site.offset);
    refuseSleepingColdPart(object, preName, preemptible);
    const ranges = oldCodeOf(matchOf(unit, undefined), preName);
    const [first] = ranges;
    const address = first?.start ?? toAddress(0n);
    const position = positionOf(kernel, target, preName, address);
    if (position === undefined) {
      throw new RefusedError(
        'livepatch_refused',
        `livepatch: ${object.path}: kallsyms does not name ${preName}`,
        {
          hint: 'apply it with the jump engine (ksplice apply --engine jump)',
        },
      );
    }
    const trampoline = {
      name: preName,
      replacement: `${number}:${name}`,
      ranges,
      siteOffset: site.offset,
      siteSize: site.size,
      ...(isAtRest ? { old: `old:${number}:${preName}` } : {}),
    };
    const old = { object: target, name: preName, position, address, boundWith: target };
    return { target, trampoline, old, hasColdPart: hasColdPart(object, preName) };
  });
}

/** The kernel proper first, then modules by name. */
function byObject(a: string, b: string): number {
  return Number(b === VMLINUX) - Number(a === VMLINUX) || Number(a > b) - Number(a < b);
}

/** `stub`: that for livepatch. Errors: RefusedError `livepatch_refused`, and those of linkUpdate(). */
export function linkLivepatch(update: LivepatchToLink, kernel: Kernel): LinkedModule {
  const { units } = update;
  const functions = units.reduce((sum, unit) => sum + unit.functions.length, 0);
  refuseUnsuited({ id: update.id, on: update.on, functions });
  const hooks = hookCalls(units);
  refuseHooks(hooks);

  const { atRest } = update;
  const rest = atRest === undefined ? undefined : new RestSymbols(atRest.kernel);
  // Whether a kernel at rest will be preemptible is a matter of how it boots, where there is a key for that.
  const isSettled = rest === undefined || kernel.named(PREEMPTION_KEY).length === 0;
  const preemptible = isSettled && isPreemptible(kernel, update.vermagic);
  const replaced = units
    .flatMap((unit, i) => replacedBy(unit, i, kernel, preemptible, rest !== undefined))
    .toSorted((a, b) => byObject(a.target, b.target));
  const trampolines = replaced.map(({ trampoline }) => trampoline);

  const modules = kernel.modules();
  const bound = new Set<Address>();
  const refer = (
    path: string,
    boundWith: string,
    name: string,
    address: Address,
  ): Address | LivepatchSymbol | ExportedSymbol => {
    const found = livepatchSymbol(kernel, modules, boundWith, name, address);
    return rest === undefined ? found : rest.refer(path, name, address, found);
  };
  const unitObjects = units.map((unit) => {
    const { path } = unit.replacement;
    const object = unitObject(
      update,
      unit,
      kernel,
      bound,
      (name, address) => refer(path, unit.match.target, name, address),
      rest !== undefined,
    );
    refuseEarlyUse(object.object, object.resolve);
    return object;
  });

  const targets = [...new Set(units.map(({ match }) => match.target))].toSorted(byObject);
  const owners = [...bound].map((address) => ownerOf(modules, address)?.name);
  const name = updateModule(update.id);
  const pins = modules.filter((module) => targets.includes(module.name) || owners.includes(module.name));
  const needsKey = !isSettled && replaced.some((each) => each.hasColdPart);
  const tables: readonly ObjectFile[] = [
    updateTables(update.id, { trampolines, hooks, resident: update.resident }),
    livepatchTables({
      objects: targets.map((target) => ({
        name: target,
        functions: replaced.filter((each) => each.target === target).length,
      })),
      positions: replaced.map(({ old }) => old.position),
      pins: pins.map(({ name: pinned, base }) => ({ name: pinned, base: rest === undefined ? base : 0n })),
      ...(atRest === undefined
        ? {}
        : { atRest: { ...atRest.kernel, preemption: needsKey ? PREEMPTION_KEY : undefined } }),
    }),
    ...(atRest === undefined ? [] : [noteObject(atRest.note)]),
  ];
  const olds = new Map(replaced.map(({ trampoline, old }) => [trampoline.old, old]));
  const ownObjects = (stub: ObjectFile): readonly LinkObject[] => {
    const all = [...tables, stub];
    return all.map((object): LinkObject => {
      const known = (wanted: string): Address | LivepatchSymbol | ExportedSymbol => {
        const address = anyAddress(kernel, object.path, wanted);
        return rest === undefined ? address : refer(object.path, VMLINUX, wanted, address);
      };
      const resolve: LinkObject['resolve'] = (wanted) =>
        olds.get(wanted) ??
        (wanted.includes(':')
          ? replacementSymbol(units, wanted)
          : (definedIn(all, units.length, wanted) ?? known(wanted)));
      return { object, isModuleObject: true, resolve };
    });
  };
  rest?.collect([...unitObjects, ...ownObjects(update.stub)]);
  const extras =
    rest === undefined
      ? undefined
      : { crcs: rest.crcs, modinfo: [`depends=${pins.map((each) => each.name).join(',')}`] };
  const stub = nameModule(update.stub, name, update.moduleLayoutCrc, extras);
  const [start] = trampolines;
  const { bytes } = linkModule({
    objects: [...unitObjects, ...ownObjects(stub)],
    functionSuffix: `.${name}`,
    ...(start === undefined ? {} : { first: replacementSymbol(units, start.replacement) }),
  });
  return { name, bytes, bound: [...bound], trampolines };
}
