/**
 * What a kernel or a module exports: the symbols that modules are linked with.
 *
 * The tables `__ksymtab` and `__ksymtab_gpl` have an entry of three 32-bit fields for each symbol, every one of them the
 * distance from itself to what it means (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS, struct kernel_symbol in
 * kernel/module/internal.h): the symbol, its name, the name of its namespace. A per-CPU symbol comes out as its offset,
 * since the distance is taken modulo 2^64.
 */
import { FormatError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import { type Address, addressAt } from '../address.ts';
import type { Memory } from './memory.ts';

/** A table in memory. */
export interface ExportTable {
  readonly name: string;
  readonly address: Address;
  readonly size: number;
}

export const EXPORT_TABLES: readonly string[] = ['__ksymtab', '__ksymtab_gpl'];
/** The table whose symbols /proc/kallsyms shows with capital letters in modules (is_exported()). */
export const PLAIN_EXPORT_TABLE = '__ksymtab';

const ENTRY_SIZE = 12;
/** KSYM_NAME_LEN. */
const LONGEST_NAME = 512;

/** Value by name. Throws FormatError `malformed_image` for entries that point nowhere; `path` is for messages. */
export function readExports(memory: Memory, table: ExportTable, path: string): ReadonlyMap<string, Address> {
  const exported = new Map<string, Address>();
  const bytes = memory.read(table.address, table.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + ENTRY_SIZE <= bytes.length; at += ENTRY_SIZE) {
    const target = (field: number): Address =>
      addressAt(table.address, at + field + view.getInt32(at + field, true));
    const name = memory.readText(target(4), LONGEST_NAME);
    if (name === undefined || name === '') {
      throw new FormatError('malformed_image', `${path}: ${table.name}+${hex(at)}: the export has no name`, {
        details: { file: path },
      });
    }
    exported.set(name, target(0));
  }
  return exported;
}
