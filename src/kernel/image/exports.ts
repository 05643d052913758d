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

/** An export, with what a module that uses it must say. */
export interface KernelExport {
  readonly address: Address;
  /** Empty for none. */
  readonly namespace: string;
  /** Of its declaration and types; undefined for a kernel without MODVERSIONS. */
  readonly crc: number | undefined;
}

/** `__kcrctab`: 32 bits for each entry of the table of symbols, in its order (since 5.19, 7b4537199a4a). */
function crcTable(
  memory: Memory,
  table: ExportTable,
  crcs: ExportTable | undefined,
  path: string,
): DataView | undefined {
  if (crcs === undefined) return undefined;
  if (crcs.size / 4 !== table.size / ENTRY_SIZE) {
    const found = `${crcs.name} of ${hex(crcs.size)} bytes, ${table.name} of ${hex(table.size)}`;
    throw new FormatError('malformed_image', `${path}: ${found}: expected a CRC for each symbol`, {
      details: { file: path },
    });
  }
  const bytes = memory.read(crcs.address, crcs.size);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** As `readExports`, in full. `crcs`: the table of CRCs that goes with the table. */
export function readKernelExports(
  memory: Memory,
  table: ExportTable,
  crcs: ExportTable | undefined,
  path: string,
): ReadonlyMap<string, KernelExport> {
  const bytes = memory.read(table.address, table.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const crcOf = crcTable(memory, table, crcs, path);
  const exported = new Map<string, KernelExport>();
  [...readExports(memory, table, path)].forEach(([name, address], i) => {
    const field = i * ENTRY_SIZE + 8;
    const distance = view.getInt32(field, true);
    const namespace =
      distance === 0 ? '' : (memory.readText(addressAt(table.address, field + distance), LONGEST_NAME) ?? '');
    exported.set(name, { address, namespace, crc: crcOf?.getUint32(i * 4, true) });
  });
  return exported;
}

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
