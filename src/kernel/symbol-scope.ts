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
