/**
 * What loaded modules export.
 *
 * /proc/kallsyms gives a module's symbol a capital letter if EXPORT_SYMBOL exports it, and a small one if
 * EXPORT_SYMBOL_GPL does (is_exported() in kernel/module/kallsyms.c looks into the first table only), or if nothing
 * does. But each export has an entry of its own, listed as `__ksymtab_NAME`: struct kernel_symbol, whose first field is
 * the distance from itself to the symbol (include/linux/export.h, CONFIG_HAVE_ARCH_PREL32_RELOCATIONS). That is what
 * the loader goes by, too.
 */
import type { ObjectFile } from '../elf/model.ts';
import { type Address, addressAt } from './address.ts';
import { type Kernel, readIfMapped } from './kernel.ts';

const ENTRY_PREFIX = '__ksymtab_';

export function exportEntryName(name: string): string {
  return `${ENTRY_PREFIX}${name}`;
}

/** The name that an entry exports; undefined for a symbol that is no entry. */
export function exportedNameOf(entry: string): string | undefined {
  return entry.startsWith(ENTRY_PREFIX) ? entry.slice(ENTRY_PREFIX.length) : undefined;
}

/** Where the symbol is that a loaded module exports under this name; undefined if it exports none. */
export function exportedAddress(kernel: Kernel, module: string, name: string): Address | undefined {
  const [entry, second] = kernel.named(exportEntryName(name), module);
  if (entry === undefined || second !== undefined) return undefined;
  const bytes = readIfMapped(kernel, entry.address, 4);
  if (bytes === undefined) return undefined;
  return addressAt(entry.address, new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true));
}

/** Entries to look up with what an object refers to: other modules may export it. */
export function importedEntryNames({ symbols }: ObjectFile): readonly string[] {
  return symbols
    .filter(({ place, name }) => place === 'undefined' && name !== '')
    .map(({ name }) => exportEntryName(name));
}
