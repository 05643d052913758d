/**
 * `struct _ddebug` (include/linux/dynamic_debug.h): the record of one pr_debug() or dev_dbg(), 56 bytes in
 * section `__dyndbg`. The u32 at offset 32 has the source line in its low 18 bits, then class and flags; a
 * line added above changes it in every record of the file.
 */
import type { UnitItem } from './unit.ts';

const lineOffset = 32;
const lineBytes = [0xff, 0xff, 0x03];

export function isDebugDescriptor(item: UnitItem): boolean {
  return item.section.name === '__dyndbg';
}

/** Sets the line numbers of a descriptor to zero, in place; leaves other objects alone. */
export function clearLineNumber(item: UnitItem, bytes: Uint8Array): void {
  if (!isDebugDescriptor(item)) return;
  lineBytes.forEach((mask, index) => {
    const at = lineOffset + index;
    bytes[at] = (bytes[at] ?? 0) & ~mask;
  });
}
