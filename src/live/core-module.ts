/**
 * The core: linked and loaded if it is not there, unloaded when nobody needs it.
 */
import { MissingError } from '../diagnostics/error.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { linkCore } from '../link/link-update.ts';
import type { Update } from '../update/update.ts';
import { coreInterface, isCoreLoaded, listEntries } from './core-sysfs.ts';
import { loadModule, unloadModule } from './kernel-module.ts';
import type { UpdateObjects } from './match-update.ts';

export const CORE_MODULE = 'ksplice';

function checkInterface(expected: number): void {
  const found = coreInterface();
  if (found === expected) return;
  throw new MissingError(
    'core_incompatible',
    `the loaded core has interface ${found}, the update needs ${expected}`,
    { hint: 'undo the updates that use it (ksplice view); the core goes with the last of them' },
  );
}

/** Returns whether this call loaded it. */
export async function ensureCore(
  update: Update,
  objects: UpdateObjects,
  kernel: RunningKernel,
): Promise<boolean> {
  const wasLoaded = isCoreLoaded();
  if (!wasLoaded) {
    const crc = update.kernel.moduleLayoutCrc;
    await loadModule(CORE_MODULE, linkCore(objects.core, kernel, crc));
  }
  checkInterface(update.coreInterface);
  return !wasLoaded;
}

/** Unloads the core if no update is known to it. */
export async function releaseCore(): Promise<void> {
  if (isCoreLoaded() && listEntries().length === 0) await unloadModule(CORE_MODULE);
}
