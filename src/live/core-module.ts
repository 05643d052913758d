/**
 * The core: that of the kernel if it has one; else bound and loaded if it is not there, unloaded when nobody needs it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { InternalError, MissingError } from '../diagnostics/error.ts';
import type { BoundObject } from '../elf/bind-symbols.ts';
import { type Address, addressAt, toAddress } from '../kernel/address.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { CORE_MODULE } from '../link/core-module-name.ts';
import { bindCore } from '../link/link-core.ts';
import type { Update } from '../update/update.ts';
import { coreInterface, isCoreLoaded, listEntries, operation } from './core-sysfs.ts';
import { loadModule, loadModuleOfKernel, unloadModule } from './kernel-module.ts';
import { isModuleLoaded } from './module-state.ts';

function checkInterface(expected: number): void {
  const found = coreInterface();
  if (found === expected) return;
  const isOurs = operation() === 'standalone';
  throw new MissingError(
    'core_incompatible',
    `${isOurs ? 'the loaded core' : 'the core of this kernel'} has interface ${found}, the update needs ${expected}`,
    {
      hint: isOurs
        ? 'undo the updates that use it (ksplice view): the core goes with the last of them, or, where one stays reversed, when the machine boots again'
        : 'make the update with the release of ksplice that the patches of this kernel came from',
    },
  );
}

/** What an update module calls. */
const entryPoints = ['ksplice_register', 'ksplice_unregister'];

/**
 * Addresses of the core's symbols, after this run loaded it: where the loader put the section, plus the
 * offset that the linker chose. (kallsyms, which was read before, does not have them yet, and reading it
 * takes longer than everything else.)
 */
function symbolsOfLoaded(image: BoundObject): ReadonlyMap<string, Address> {
  return new Map(
    entryPoints.map((name) => {
      const place = image.placeOf(name);
      if (place === undefined) throw new InternalError('unexpected', `the core has no ${name}`);
      const base = readFileSync(`/sys/module/${CORE_MODULE}/sections/${place.section}`, 'latin1');
      return [name, addressAt(toAddress(BigInt(base.trim())), place.offset)];
    }),
  );
}

/** A core that we have not linked. It may have been loaded after kallsyms was read. */
function symbolsInKallsyms(kernel: RunningKernel): ReadonlyMap<string, Address> {
  const isBuiltIn = !isModuleLoaded(CORE_MODULE);
  kernel.refresh();
  kernel.prefetch(entryPoints);
  return new Map(
    entryPoints.map((name) => {
      const [symbol] = isBuiltIn ? kernel.named(name) : kernel.named(name, CORE_MODULE);
      if (symbol === undefined) {
        throw new MissingError('core_incompatible', `the loaded core has no ${name}`, {
          hint: 'another module named ksplice is loaded: unload it (rmmod ksplice)',
        });
      }
      return [name, symbol.address];
    }),
  );
}

/** Where a kernel with CONFIG_KSPLICE=m has its core. */
function isModuleOfKernel(): boolean {
  return ['', '.xz', '.zst', '.gz'].some((suffix) =>
    existsSync(`/lib/modules/${release()}/kernel/kernel/ksplice/${CORE_MODULE}.ko${suffix}`),
  );
}

/** Loads the core if it is not there: the kernel's own, or else the update's. Returns the addresses of its entry points. */
export async function ensureCore(
  update: Update,
  kernel: RunningKernel,
): Promise<ReadonlyMap<string, Address>> {
  if (isCoreLoaded()) {
    checkInterface(update.coreInterface);
    return symbolsInKallsyms(kernel);
  }
  if (isModuleOfKernel()) {
    await loadModuleOfKernel(CORE_MODULE);
    checkInterface(update.coreInterface);
    return symbolsInKallsyms(kernel);
  }
  const image = bindCore(update.core, kernel);
  await loadModule(CORE_MODULE, image.bytes);
  checkInterface(update.coreInterface);
  return symbolsOfLoaded(image);
}

/** Unloads the core if no update is known to it; one that is built in stays. */
export async function releaseCore(): Promise<void> {
  if (isCoreLoaded() && listEntries().length === 0) await unloadModule(CORE_MODULE);
}
