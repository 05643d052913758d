/**
 * Which symbols the names in a unit may mean: its own are those of the target that it is linked into, and it may
 * refer to those of the kernel proper. A module may refer to what other modules export besides.
 */
import type { Kernel, KernelSymbol } from './kernel.ts';
import { exportedAddress } from './module-exports.ts';

/** The target that is no module. */
export const VMLINUX = 'vmlinux';

export interface SymbolScope {
  /** `vmlinux`, or a module's name. */
  readonly target: string;
  /** Symbols that the target itself has under a name. */
  readonly own: (name: string) => readonly KernelSymbol[];
  /** What a reference to a name may mean: own symbols first, then the kernel's, then what other modules export. */
  readonly reachable: (name: string) => readonly KernelSymbol[];
}

/**
 * What the code of an update's module may mean: its functions are called `NAME.MODULE`, and it was linked with what it
 * replaces, by names of the unit.
 * @param module of this update
 * @param modules of all updates that this one may have been on top of
 * @param replaced scope of the unit
 */
export function updateScope(
  kernel: Kernel,
  module: string,
  modules: readonly string[],
  replaced: SymbolScope,
): SymbolScope {
  const of = (name: string, owner: string): readonly KernelSymbol[] => [
    ...kernel.named(`${name}.${owner}`, owner),
    ...kernel.named(name, owner),
  ];
  return {
    target: module,
    own: (name) => of(name, module),
    reachable: (name) => {
      const others = modules.filter((each) => each !== module);
      return [...of(name, module), ...replaced.reachable(name), ...others.flatMap((each) => of(name, each))];
    },
  };
}

export function scopeOf(kernel: Kernel, target: string): SymbolScope {
  if (target === VMLINUX) {
    // Built-in code refers to nothing in a module, so a module's symbol of the same name explains nothing.
    const named = (name: string): readonly KernelSymbol[] => kernel.named(name);
    return { target, own: named, reachable: named };
  }
  const own = (name: string): readonly KernelSymbol[] => kernel.named(name, target);
  return {
    target,
    own,
    reachable: (name) => {
      const others = kernel
        .everywhere(name)
        .filter(
          ({ module, address }) =>
            module !== undefined && module !== target && exportedAddress(kernel, module, name) === address,
        );
      return [...own(name), ...kernel.named(name), ...others];
    },
  };
}
