/**
 * What a module that is linked at rest may refer to: nothing by address, since KASLR chooses those when a machine boots.
 *
 * What the kernel exports is left to its module loader, with the CRC of the export: it looks names up by halves, where 6.1's
 * livepatch goes through all of kallsyms for each. Only the address that matching has found counts, so an export of the same
 * name elsewhere is none. Everything else of the kernel is named for livepatch; what has no name that it could find is refused.
 * Address 0 stays: a weak symbol that is not there, or the first per-CPU variable.
 */
import { hex } from '../diagnostics/hex.ts';
import { type Address } from '../kernel/address.ts';
import type { KernelExport } from '../kernel/image/exports.ts';
import type { ExportedSymbol, LinkObject, LivepatchSymbol } from './link-object.ts';
import { refused } from './livepatch-limits.ts';
import { NAME_MAX } from './module-stub.ts';

/** The kernel that a module is linked for, where it does not run. */
export interface KernelAtRest {
  /** `uname -r`. */
  readonly release: string;
  /** `uname -v`. */
  readonly version: string;
  /** What the kernel proper exports. */
  readonly exported: (name: string) => KernelExport | undefined;
}

/** Takes note of the exports that are used. */
export class RestSymbols {
  /** By name, of those that have one. */
  readonly crcs = new Map<string, number>();
  readonly #kernel: KernelAtRest;

  constructor(kernel: KernelAtRest) {
    this.#kernel = kernel;
  }

  /**
   * @param path of the object that refers to it
   * @param found as livepatch would have it, or the address where it could not find it
   */
  refer(
    path: string,
    name: string,
    address: Address,
    found: Address | LivepatchSymbol,
  ): Address | LivepatchSymbol | ExportedSymbol {
    const known = this.#kernel.exported(name);
    // A namespace would have to be imported, for one symbol.
    if (known?.address === address && known.namespace === '' && name.length <= NAME_MAX) {
      if (known.crc !== undefined) this.crcs.set(name, known.crc);
      return { exported: name };
    }
    if (typeof found !== 'bigint' || found === 0n) return found;
    throw refused(
      `${path}: ${name}: kallsyms has no such name at ${hex(address)}, by which a machine could find it`,
      'link it on the machine (ksplice apply)',
    );
  }

  /** All that objects refer to is asked for. */
  collect(objects: readonly LinkObject[]): void {
    for (const { object, resolve } of objects) {
      for (const { relocations } of object.sections) {
        for (const { symbol } of relocations) {
          const { name, place } = object.symbols[symbol] ?? { name: '', place: undefined };
          if (place === 'undefined') resolve(name);
        }
      }
    }
  }
}
