/**
 * A kernel that does not run: what is in vmlinuz, and modules from their files.
 *
 * An update can so be checked before the machine that it is for boots, or on another one. No debug package
 * is needed: the image has its symbols (image-kallsyms.ts) and all of its memory (memory.ts), and modules are laid out and
 * relocated as the loader would (place-module.ts). Addresses are those that the kernel was linked for, which a kernel
 * booted with `nokaslr` has.
 *
 * Modules are not all there from the start, since a distribution has 4,000. Who needs one loads it, and with it
 * those that it depends on. They go to the area where modules are on x86-64, one behind the other, with a free page
 * between them as vmalloc() leaves one. Their per-CPU data follow the kernel's own, as in the reserve for
 * modules.
 */
import { readFile } from 'node:fs/promises';
import { MissingError, UsageError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import type { ObjectFile } from '../../elf/model.ts';
import { type Address, addressAt, toAddress } from '../address.ts';
import type { Kernel, KernelSymbol, LoadedModule } from '../kernel.ts';
import { readBanner } from './banner.ts';
import { EXPORT_TABLES, type KernelExport, readExports, readKernelExports } from './exports.ts';
import { readImageKallsyms } from './image-kallsyms.ts';
import { Memory } from './memory.ts';
import { ModuleDirectory } from './module-directory.ts';
import { moduleInfo } from './module-info.ts';
import { layoutModule, PAGE_SIZE } from './module-layout.ts';
import { type ModulePlace, placeModule } from './place-module.ts';
import { SymbolIndex } from './symbol-index.ts';
import { unpackKernel } from './unpack-kernel.ts';
import { readVmlinux, type Vmlinux } from './vmlinux.ts';

export interface ImageKernelOptions {
  /** A directory like /lib/modules/RELEASE. */
  readonly modulesDirectory?: string;
  /** Modules to load at once. */
  readonly modules?: readonly string[];
}

/** MODULES_VADDR with CONFIG_RANDOMIZE_BASE; without, the area begins below and holds it too. */
const MODULE_AREA = 0xffffffffc0000000n;

interface ModuleAtRest {
  readonly loaded: LoadedModule;
  readonly symbols: SymbolIndex;
  readonly exports: ReadonlyMap<string, Address>;
  readonly sections: ReadonlyMap<string, Address>;
}

export class ImageKernel implements Kernel {
  readonly isRunning = false;
  readonly path: string;
  readonly release: string;
  /** `uname -v`: `#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)`. */
  readonly version: string;
  readonly vmlinux: Vmlinux;
  readonly #memory = new Memory();
  readonly #symbols: SymbolIndex;
  readonly #directory: ModuleDirectory | undefined;
  /** By name, in the order of loading. */
  readonly #modules = new Map<string, ModuleAtRest>();
  /** The modules that have a name, for all that are loaded but those that are not in it yet. */
  readonly #users = new Map<string, SymbolIndex[]>();
  readonly #notIndexed: ModuleAtRest[] = [];
  #exports: ReadonlyMap<string, Address> | undefined;
  #kernelExports: ReadonlyMap<string, KernelExport> | undefined;
  #nextBase: Address = toAddress(MODULE_AREA);
  #nextPerCpu: Address;

  /** `directory` is where modules come from. Throws FormatError `malformed_image`. */
  constructor(vmlinux: Vmlinux, directory?: ModuleDirectory) {
    this.path = vmlinux.path;
    this.vmlinux = vmlinux;
    this.#directory = directory;
    for (const segment of vmlinux.segments) this.#memory.add(segment);
    this.#symbols = new SymbolIndex(readImageKallsyms(vmlinux), undefined);
    const banner = readBanner(this.#memory, this.#symbols.named('linux_banner')[0]?.address, vmlinux.path);
    this.release = banner.release;
    this.version = banner.version;
    // Where the per-CPU section is linked among everything else, its end is not free: the end of all memory is.
    this.#nextPerCpu = toAddress(this.#memory.endOfFirst ?? this.#memory.end);
  }

  /**
   * Opens a vmlinuz, or a vmlinux. Throws UsageError if the file cannot be read, FormatError `malformed_image`,
   * MissingError `missing_tool` (with the Debian package) for a compression whose program is not installed; for
   * modules as `loadModule`.
   */
  static async open(path: string, options: ImageKernelOptions = {}): Promise<ImageKernel> {
    const bytes = await readImageFile(path);
    const { modulesDirectory, modules = [] } = options;
    const kernel = new ImageKernel(
      readVmlinux(await unpackKernel(bytes, path), path),
      modulesDirectory === undefined ? undefined : new ModuleDirectory(modulesDirectory),
    );
    for (const name of modules) await kernel.loadModule(name);
    return kernel;
  }

  read(at: Address, size: number): Uint8Array {
    return this.#memory.read(at, size);
  }

  /** Nothing to do: all symbols are in memory. */
  prefetch(_names: Iterable<string>): void {}

  named(name: string, module?: string): readonly KernelSymbol[] {
    const index = module === undefined ? this.#symbols : this.#modules.get(module)?.symbols;
    return index?.named(name) ?? [];
  }

  everywhere(name: string): readonly KernelSymbol[] {
    const inModules = this.#modulesWith(name).flatMap((symbols) => symbols.named(name));
    return [...this.#symbols.named(name), ...inModules];
  }

  /** There can be a hundred modules, and matching asks for a dozen names of nearly every function. */
  #modulesWith(name: string): readonly SymbolIndex[] {
    for (const { symbols } of this.#notIndexed.splice(0)) {
      for (const each of symbols.names()) {
        const users = this.#users.get(each);
        if (users === undefined) this.#users.set(each, [symbols]);
        else if (users.at(-1) !== symbols) users.push(symbols);
      }
    }
    return this.#users.get(name) ?? [];
  }

  /** Nothing to do: nothing changes. */
  refresh(): void {}

  /** Every symbol: the kernel's own in the order of addresses, then those of the modules that are loaded. */
  *symbols(): Generator<KernelSymbol> {
    yield* this.#symbols.all();
    for (const { symbols } of this.#modules.values()) yield* symbols.all();
  }

  describe(at: Address): string | undefined {
    let best = this.#symbols.nearest(at);
    for (const { symbols } of this.#modules.values()) {
      const found = symbols.nearest(at);
      if (found !== undefined && (best === undefined || found.address > best.address)) best = found;
    }
    if (best === undefined) return undefined;
    const offset = at - best.address;
    return offset === 0n ? best.name : `${best.name}+${hex(offset)}`;
  }

  modules(): readonly LoadedModule[] {
    return [...this.#modules.values()].map(({ loaded }) => loaded);
  }

  sectionsOf(module: string): ReadonlyMap<string, Address> {
    return this.#modules.get(module)?.sections ?? new Map();
  }

  /**
   * Loads a module, named with hyphens or underscores, and those that it depends on; one that is loaded stays as it is.
   * Throws MissingError `target_not_loaded` if there is none, MatchError `failed_to_find` if a symbol that it needs is
   * exported by nobody, FormatError.
   */
  async loadModule(name: string): Promise<LoadedModule> {
    return this.#load(name.replaceAll('-', '_'), []);
  }

  /** Loads a module from an object that has been read; what it depends on must be loaded. */
  addModule(name: string, object: ObjectFile): LoadedModule {
    const layout = layoutModule(object);
    const place = this.#place(layout);
    const placed = placeModule(object, name, place, (symbol) => this.#exported(symbol), layout);
    for (const region of placed.regions) this.#memory.add(region);
    const loaded = { name, size: layout.coreSize, base: place.base, live: true };
    const module = {
      loaded,
      symbols: new SymbolIndex(placed.symbols, name),
      exports: placed.exports,
      sections: placed.sections,
    };
    this.#modules.set(name, module);
    this.#notIndexed.push(module);
    this.#nextBase = addressAt(place.initBase, layout.initSize + PAGE_SIZE);
    if (layout.perCpu !== undefined) this.#nextPerCpu = addressAt(place.perCpuBase, layout.perCpu.size);
    return loaded;
  }

  /** What the kernel proper exports under a name, with what a module must say that uses it. */
  exported(name: string): KernelExport | undefined {
    if (this.#kernelExports === undefined) {
      const { sections, path } = this.vmlinux;
      const tables = EXPORT_TABLES.flatMap((wanted) => {
        const table = sections.find((each) => each.name === wanted);
        const crcs = sections.find((each) => each.name === wanted.replace('__ksymtab', '__kcrctab'));
        return table === undefined ? [] : [...readKernelExports(this.#memory, table, crcs, path)];
      });
      this.#kernelExports = new Map(tables);
    }
    return this.#kernelExports.get(name);
  }

  async #load(name: string, waiting: readonly string[]): Promise<LoadedModule> {
    const known = this.#modules.get(name);
    if (known !== undefined) return known.loaded;
    if (this.#directory === undefined) {
      throw new MissingError(
        'target_not_loaded',
        `${name}: no directory with the modules of ${this.release} given`,
        {
          hint: 'they are in /lib/modules/RELEASE of the package that has the image',
        },
      );
    }
    const object = await this.#directory.read(name, waiting[0]);
    for (const needed of moduleInfo(object).depends) {
      // A circle cannot be loaded by a kernel either; the symbol that is missing for it will be named.
      if (![name, ...waiting].includes(needed)) await this.#load(needed, [name, ...waiting]);
    }
    return this.addModule(name, object);
  }

  #place(layout: ReturnType<typeof layoutModule>): ModulePlace {
    const base = this.#nextBase;
    const alignment = BigInt(Math.max(1, layout.perCpu?.alignment ?? 1));
    const perCpu = ((this.#nextPerCpu + alignment - 1n) / alignment) * alignment;
    return {
      base,
      initBase: addressAt(base, layout.coreSize + PAGE_SIZE),
      perCpuBase: toAddress(perCpu),
    };
  }

  #exported(name: string): Address | undefined {
    this.#exports ??= this.#readExports();
    const own = this.#exports.get(name);
    if (own !== undefined) return own;
    for (const { exports } of this.#modules.values()) {
      const found = exports.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #readExports(): ReadonlyMap<string, Address> {
    const { sections, path } = this.vmlinux;
    const tables = sections.filter(({ name }) => EXPORT_TABLES.includes(name));
    return new Map(tables.flatMap((table) => [...readExports(this.#memory, table, path)]));
  }
}

async function readImageFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('usage', `cannot read the image ${path}: ${reason}`, {
      hint: 'Debian has them as /boot/vmlinuz-RELEASE',
      cause,
    });
  }
}
