/**
 * The kernel that this machine runs: /proc/kcore for memory, /proc/kallsyms for symbols.
 *
 * kallsyms is read once, when it is first needed, and scanned once for each set of names, so who needs
 * many asks for all of them at first. A module that is loaded later is not in it, until it is refreshed.
 * What the machine forbids is named here, before anything is touched.
 */
import { readFileSync } from 'node:fs';
import { MissingError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import type { Address } from './address.ts';
import { allSymbols, areAddressesHidden, findSymbols, nearestSymbol } from './kallsyms.ts';
import { Kcore } from './kcore.ts';
import type { IdentifiedModule, Kernel, KernelSymbol, LoadedModule } from './kernel.ts';
import { parseModules } from './loaded-modules.ts';
import { readModuleSections } from './module-sections.ts';
import { readProcFile } from './read-proc-file.ts';

/** The whole note, its header too (Documentation/ABI/testing/sysfs-module says nothing of it; kernel/module/sysfs.c). */
function buildIdOf(module: string): string | undefined {
  try {
    return readFileSync(`/sys/module/${module}/notes/.note.gnu.build-id`).toString('hex');
  } catch {
    return undefined;
  }
}

export class RunningKernel implements Kernel, Disposable {
  readonly release: string;
  readonly isRunning = true;
  readonly #kcore: Kcore;
  #kallsyms: string | undefined;
  #modulesOfSymbols: readonly IdentifiedModule[] = [];
  /** Names already looked up, found or not. */
  readonly #found = new Map<string, readonly KernelSymbol[]>();
  /** Names that were known before the last refresh. */
  readonly #forgotten = new Set<string>();

  constructor() {
    // First of all, since where it is missing nothing else helps: there may be no /proc at all.
    this.#kcore = new Kcore();
    this.release = readFileSync('/proc/sys/kernel/osrelease', 'latin1').trim();
  }

  #text(): string {
    if (this.#kallsyms === undefined) {
      this.#modulesOfSymbols = this.identifiedModules();
      const text = readProcFile('/proc/kallsyms');
      if (areAddressesHidden(text)) {
        throw new MissingError('kallsyms_hidden', '/proc/kallsyms: the kernel hides its addresses', {
          hint: 'kernel.kptr_restrict=2 hides them from root too: sysctl -w kernel.kptr_restrict=1',
        });
      }
      this.#kallsyms = text;
    }
    return this.#kallsyms;
  }

  read(at: Address, size: number): Uint8Array {
    return this.#kcore.read(at, size);
  }

  prefetch(names: Iterable<string>): void {
    const missing = [...names].filter((name) => !this.#found.has(name));
    if (missing.length === 0) return;
    // After a refresh, all that was known is looked up again in one scan.
    const wanted = new Set([...missing, ...this.#forgotten]);
    this.#forgotten.clear();
    const found = findSymbols(this.#text(), wanted);
    for (const name of wanted) this.#found.set(name, found.get(name) ?? []);
  }

  named(name: string, module?: string): readonly KernelSymbol[] {
    return this.everywhere(name).filter((symbol) => symbol.module === module);
  }

  everywhere(name: string): readonly KernelSymbol[] {
    this.prefetch([name]);
    return this.#found.get(name) ?? [];
  }

  symbols(): Iterable<KernelSymbol> {
    return allSymbols(this.#text());
  }

  refresh(): void {
    this.#kallsyms = undefined;
    for (const name of this.#found.keys()) this.#forgotten.add(name);
    this.#found.clear();
  }

  describe(at: Address): string | undefined {
    const symbol = nearestSymbol(this.#text(), at);
    if (symbol === undefined) return undefined;
    const offset = at - symbol.address;
    return offset === 0n ? symbol.name : `${symbol.name}+${hex(offset)}`;
  }

  modules(): readonly LoadedModule[] {
    return parseModules(readFileSync('/proc/modules', 'latin1'));
  }

  identifiedModules(): readonly IdentifiedModule[] {
    return this.modules().map((module) => ({ ...module, buildId: buildIdOf(module.name) }));
  }

  /**
   * As they were before the symbols that are known now were read. A symbol of a module that has not changed since then is
   * where it was found.
   */
  modulesOfSymbols(): readonly IdentifiedModule[] {
    this.#text();
    return this.#modulesOfSymbols;
  }

  sectionsOf(module: string): ReadonlyMap<string, Address> {
    return readModuleSections(module);
  }

  close(): void {
    this.#kcore.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
