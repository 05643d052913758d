/** What is linked: objects, and what their undefined symbols are. */
import type { ObjectFile, SymbolIndex } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';

/** A symbol of one of the objects that are linked together. */
export interface LinkedSymbol {
  /** Position in the list of objects. */
  readonly object: number;
  readonly symbol: SymbolIndex;
}

/**
 * A symbol of the kernel that its livepatch looks up when the module is loaded, by name and position
 * (Documentation/livepatch/module-elf-format.rst).
 */
export interface LivepatchSymbol {
  /** `vmlinux`, or the module that has it. */
  readonly object: string;
  readonly name: string;
  /** From 1, among the object's symbols of this name; 0 if it is the only one. */
  readonly position: number;
  /** Where it is now. */
  readonly address: Address;
  /** The object with which references to it are bound: `vmlinux`, when the module is loaded; or a module. */
  readonly boundWith: string;
}

/** A symbol that the kernel exports to modules: its own loader finds it, by name. */
export interface ExportedSymbol {
  readonly exported: string;
}

export interface LinkObject {
  readonly object: ObjectFile;
  /** Compiled as a module's own, so it brings .modinfo and struct module. */
  readonly isModuleObject: boolean;
  /**
   * Where an undefined symbol is: an address in the kernel, a symbol of another object, or an address that
   * is filled in later (`bindSymbols`), by the kernel's livepatch, or by its loader.
   */
  readonly resolve: (name: string) => Address | LinkedSymbol | LivepatchSymbol | ExportedSymbol | 'later';
}

export interface ModuleInput {
  readonly objects: readonly LinkObject[];
  /** Appended to the name of every function, `.ksplice_ID`; empty for none. */
  readonly functionSuffix: string;
  /** A function that the module's code begins with. */
  readonly first?: LinkedSymbol;
}
