/**
 * A kernel, behind one interface, so that matching and linking see memory, symbols and modules, and
 * not where they come from.
 */
import { MatchError } from '../diagnostics/error.ts';
import type { Address } from './address.ts';

/** A line of kallsyms. */
export interface KernelSymbol {
  readonly name: string;
  readonly address: Address;
  /** nm's letter: `t` local text, `T` global text, `d`, `D`, `b`, `r`, `A` absolute, ... */
  readonly type: string;
  /** The module that it belongs to; built in where undefined. */
  readonly module: string | undefined;
}

/** A loaded module, as in /proc/modules. */
export interface LoadedModule {
  readonly name: string;
  /** Size of its core part, in bytes. */
  readonly size: number;
  readonly base: Address;
  readonly live: boolean;
}

/** A loaded module that can be told from another one of its name, even where that lies in the same place. */
export interface IdentifiedModule extends LoadedModule {
  /** What the linker made of all that is in it, in hexadecimal; undefined if it has none, or has gone. */
  readonly buildId: string | undefined;
}

export interface Kernel {
  /** `uname -r`. */
  readonly release: string;
  /** It runs, so it has rewritten its code; one at rest is as it was linked. */
  readonly isRunning: boolean;
  /** Reads `size` bytes; a MatchError (no_match) if there is no such memory. */
  read(at: Address, size: number): Uint8Array;
  /**
   * Looks all of these names up at once: a scan of the symbols costs the same for one name as for a hundred.
   * `named` and `everywhere` then answer from memory.
   */
  prefetch(names: Iterable<string>): void;
  /**
   * All symbols of this name in the kernel proper, by address; or in a module. What the kernel makes as it runs
   * has modules of its own: `__builtin__ftrace`, `__builtin__kprobes`, `bpf`.
   */
  named(name: string, module?: string): readonly KernelSymbol[];
  /** All symbols of this name, in the kernel proper and in every module. */
  everywhere(name: string): readonly KernelSymbol[];
  /** Every symbol, in the order of kallsyms. Slow: who knows the names asks for these. */
  symbols(): Iterable<KernelSymbol>;
  /** What a running kernel may have changed will be read again: symbols of modules, and what it made as it runs. */
  refresh(): void;
  /** For people: `ip_options_compile+0x1f`, or undefined far from any symbol. Slow. */
  describe(at: Address): string | undefined;
  modules(): readonly LoadedModule[];
  /** Where the sections of a loaded module lie, by name; none for a module that is not loaded. */
  sectionsOf(module: string): ReadonlyMap<string, Address>;
}

/** For an address that may be anything, since it was itself read from code: undefined where no memory is. */
export function readIfMapped(kernel: Kernel, at: Address, size: number): Uint8Array | undefined {
  try {
    return kernel.read(at, size);
  } catch (error) {
    if (error instanceof MatchError) return undefined;
    throw error;
  }
}
