/**
 * Keeps the modules that own addresses which the update was bound to from going away.
 *
 * An absolute address takes no reference, and the module loader writes to foreign keys before our init
 * runs: so the owners are pinned before the update module is loaded, and it is checked that they are
 * still where matching saw them.
 */
import { BusyError, MissingError } from '../diagnostics/error.ts';
import type { Address } from '../kernel/address.ts';
import type { IdentifiedModule, Kernel } from '../kernel/kernel.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { CORE_MODULE } from '../link/core-module-name.ts';
import type { UpdateObjects } from '../link/update-objects.ts';
import { updateModule } from '../update/update-id.ts';
import { abortError } from './abort-cause.ts';
import type { SkippedTarget } from './choose-targets.ts';
import { control, setPartial } from './core-sysfs.ts';
import { targetNotLoaded } from './target-not-loaded.ts';

function ownersOf(
  addresses: readonly Address[],
  modules: readonly IdentifiedModule[],
): readonly IdentifiedModule[] {
  return modules.filter(({ base, size }) =>
    addresses.some((address) => address >= base && address < base + BigInt(size)),
  );
}

/** Whether the module of this name is the same in each of the lists. */
export function isUnchanged(name: string, lists: readonly (readonly IdentifiedModule[])[]): boolean {
  const [first, ...others] = lists.map((modules) => modules.find((each) => each.name === name));
  return (
    first !== undefined &&
    others.every(
      (other) => other?.base === first.base && other.size === first.size && other.buildId === first.buildId,
    )
  );
}

/**
 * Keeps the modules that the update is for, and those of the updates that it is on top of: the core knows by that which
 * these are. The kernel's symbols are read again after that: a module may have
 * been unloaded and loaded again since they were.
 */
export function pinTargets(id: string, objects: UpdateObjects, kernel: Kernel): void {
  const modules = objects.units.map(({ target }) => target).filter((target) => target !== VMLINUX);
  const targets = new Set([...modules, ...objects.on.map(updateModule)]);
  for (const target of targets) {
    const errno = control(`pin ${id} ${target}`);
    if (errno === 'ENOENT') throw targetNotLoaded(id, target, false);
    if (errno !== undefined) throw abortError([id], 'apply', errno);
  }
  if (targets.size > 0) kernel.refresh();
}

/**
 * Tells the core which modules the update is applied without, and by what the fixed ones are known: it lets no others
 * of these names be loaded while the update is applied.
 */
export function skipTargets(id: string, skipped: readonly SkippedTarget[]): void {
  if (skipped.length > 0) setPartial(id);
  for (const { name, srcversion } of skipped) {
    const errno = control(`skip ${id} ${name} ${srcversion}`);
    if (errno === 'EBUSY') throw cameMeanwhile(id, name);
    if (errno !== undefined) throw abortError([id], 'apply', errno);
  }
}

/** A module that was not loaded a moment ago. */
export function cameMeanwhile(
  id: string,
  module: string,
  hint = 'try again: it is then updated in memory',
): BusyError {
  return new BusyError(
    'module_busy',
    `${id}: the module ${module} was loaded meanwhile; the kernel is as it was`,
    {
      hint,
      details: { id, module },
    },
  );
}

/**
 * `before`: the modules as they were before the symbols were read that matching began with. They may have been read again
 * since: so whoever owns one of the addresses must have been the same module then, when they were read last, and now.
 */
export function pinOwners(
  id: string,
  addresses: readonly Address[],
  before: readonly IdentifiedModule[],
  kernel: RunningKernel,
): void {
  const seen = [before, kernel.modulesOfSymbols()];
  const owners = [...seen, kernel.identifiedModules()].flatMap((modules) => ownersOf(addresses, modules));
  // Every entry holds the core, and it may have been loaded after the symbols were read.
  const names = new Set(owners.map(({ name }) => name).filter((name) => name !== CORE_MODULE));
  for (const name of names) {
    const errno = control(`pin ${id} ${name}`);
    if (errno === 'ENOENT') throw unloaded(id, name);
    if (errno === 'EBUSY') throw isSkipped(id, name);
    if (errno !== undefined) throw abortError([id], 'apply', errno);
  }
  // They stay from here on.
  const now = kernel.identifiedModules();
  for (const name of names) {
    if (!now.some((each) => each.name === name)) throw unloaded(id, name);
    if (isUnchanged(name, [...seen, now])) continue;
    throw new BusyError('module_busy', `${id}: module ${name} was loaded while matching`, {
      hint: 'try again',
      details: { id, module: name },
    });
  }
}

/** It could not be unloaded as long as it is referred to, and has to be before an undo (core/skipped.c). */
function isSkipped(id: string, module: string): BusyError {
  return new BusyError(
    'module_busy',
    `${id}: its new code refers to module ${module}, which is the fixed one and is not updated in memory; the kernel is as it was`,
    {
      hint: `unload ${module} (modprobe -r) and what uses it, and apply the update before it is loaded again; or restart`,
      details: { id, module },
    },
  );
}

function unloaded(id: string, module: string): MissingError {
  return new MissingError('target_not_loaded', `${id}: module ${module} was unloaded while matching`, {
    hint: `load it again (modprobe ${module}) and apply the update again`,
    details: { id, module },
  });
}
