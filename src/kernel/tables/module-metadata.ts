/**
 * What describes a module or the kernel as a whole. The update's module has its own description; that of
 * the units it was made from would give it their parameters, licence and dependencies.
 */
import type { OnChange, SpecialTable } from './special-table.ts';

function metadata(
  section: string,
  entrySize: number | undefined,
  onChange: OnChange,
  why: string,
): SpecialTable {
  return { section, prefix: false, entrySize, fields: [], extraction: 'drop', onChange, why };
}

const own = 'the module of the update has its own';

export const moduleMetadata: readonly SpecialTable[] = [
  // struct kernel_param, 40 bytes
  metadata('__param', 40, 'refuse', 'parameters of existing code exist already'),
  metadata('__modver', undefined, 'ignore', 'version attributes are made while the kernel boots'),
  metadata('.modinfo', undefined, 'ignore', own),
  metadata('__versions', 64, 'ignore', own),
  metadata('.gnu.linkonce.this_module', undefined, 'ignore', own),
  metadata('.BTF', undefined, 'ignore', 'types of the kernel stay as they are'),
  // u32 each, filled by resolve_btfids when vmlinux is linked.
  metadata('.BTF_ids', 4, 'refuse', 'its numbers are filled in when the kernel is linked'),
];
