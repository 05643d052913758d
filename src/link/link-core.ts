/**
 * The core as a module, in two steps.
 *
 * It is linked when an update is made, as far as that is possible: to a module whose references to the
 * kernel are the only thing missing. On the machine these are bound by name, and nothing else of the
 * module has to be looked at: apply is short of time, and the core is the same for every update of a kernel.
 */
import { InternalError, MatchError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import { type BoundObject, bindSymbols } from '../elf/bind-symbols.ts';
import type { ObjectFile } from '../elf/model.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';
import { CORE_MODULE } from './core-module-name.ts';
import { anyAddress } from './kernel-symbols.ts';
import { linkModule } from './link-module.ts';
import { nameModule } from './module-stub.ts';
import { isKernelAddress } from './reach.ts';

/** A branch of the kernel's own keys would have to be frozen in its present state (frozen-branches.ts). */
function refuseForeignKeys(core: ObjectFile): void {
  for (const place of rewrittenPlaces(core)) {
    if (place.kind !== 'jump-label') continue;
    const key = core.symbols[place.key.symbol];
    if (key?.place !== 'undefined') continue;
    const name = core.sections[place.section]?.name ?? '?';
    throw new InternalError(
      'unexpected',
      `${core.path}: ${name}+${hex(place.offset)}: a branch by the kernel's key ${key.name}, which the core must not have`,
    );
  }
}

/**
 * Links the compiled core.
 * @returns a module whose undefined symbols are bound by `bindCore`
 * @throws InternalError for code that cannot be bound wherever the kernel lies
 */
export function linkCore(core: ObjectFile, moduleLayoutCrc: number | undefined): Uint8Array {
  refuseForeignKeys(core);
  const object = nameModule(core, CORE_MODULE, moduleLayoutCrc);
  return linkModule({
    objects: [{ object, isModuleObject: true, resolve: () => 'later' }],
    functionSuffix: '',
  }).bytes;
}

/** Binds the linked core to this kernel, by names that must be unique in it. MatchError failed_to_find. */
export function bindCore(core: Uint8Array, kernel: Kernel): BoundObject {
  return bindSymbols(core, CORE_MODULE, (name) => {
    const address = anyAddress(kernel, CORE_MODULE, name);
    if (isKernelAddress(address)) return address;
    throw new MatchError(
      'failed_to_find',
      `${CORE_MODULE}: ${name} is at ${hex(address)}, expected an address of the kernel's`,
    );
  });
}
