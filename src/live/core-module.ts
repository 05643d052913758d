/**
 * The core: bound and loaded if it is not there, unloaded when nobody needs it.
 */
import { readFileSync } from 'node:fs';
import { InternalError, MissingError } from '../diagnostics/error.ts';
import type { BoundObject } from '../elf/bind-symbols.ts';
import { type Address, addressAt, toAddress } from '../kernel/address.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { bindCore, CORE_MODULE } from '../link/link-core.ts';
import type { Update } from '../update/update.ts';
import { coreInterface, isCoreLoaded, listEntries } from './core-sysfs.ts';
import { loadModule, unloadModule } from './kernel-module.ts';

function checkInterface(expected: number): void {
  const found = coreInterface();
  if (found === expected) return;
  throw new MissingError(
    'core_incompatible',
    `the loaded core has interface ${found}, the update needs ${expected}`,
    {
      hint: 'undo the updates that use it (ksplice view): the core goes with the last of them, or, where one stays reversed, when the machine boots again',
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

/** A core that was there before us. It may have been loaded after kallsyms was read. */
function symbolsInKallsyms(kernel: RunningKernel): ReadonlyMap<string, Address> {
  kernel.refresh();
  kernel.prefetch(entryPoints);
  return new Map(
    entryPoints.map((name) => {
      const [symbol] = kernel.named(name, CORE_MODULE);
      if (symbol === undefined) {
        throw new MissingError('core_incompatible', `the loaded core has no ${name}`, {
          hint: 'another module named ksplice is loaded: unload it (rmmod ksplice)',
        });
      }
      return [name, symbol.address];
    }),
  );
}

/** Binds and loads the core if it is not there; returns the addresses of its entry points. */
export async function ensureCore(
  update: Update,
  kernel: RunningKernel,
): Promise<ReadonlyMap<string, Address>> {
  if (isCoreLoaded()) {
    checkInterface(update.coreInterface);
    return symbolsInKallsyms(kernel);
  }
  const image = bindCore(update.core, kernel);
  await loadModule(CORE_MODULE, image.bytes);
  checkInterface(update.coreInterface);
  return symbolsOfLoaded(image);
}

/** Unloads the core if no update is known to it. */
export async function releaseCore(): Promise<void> {
  if (isCoreLoaded() && listEntries().length === 0) await unloadModule(CORE_MODULE);
}
