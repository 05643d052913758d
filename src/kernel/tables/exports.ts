import type { OnChange, SpecialTable } from './special-table.ts';

function exportTable(section: string, prefix: boolean, onChange: OnChange): SpecialTable {
  return {
    section,
    prefix,
    entrySize: undefined,
    fields: [],
    extraction: 'drop',
    onChange,
    why: 'the kernel exports these symbols already, and the module loader refuses a second export',
  };
}

/**
 * EXPORT_SYMBOL (include/linux/export.h): one section `___ksymtab[_gpl]+NAME` an export, which the linker
 * sorts into `__ksymtab`; its strings, and CRCs in `___kcrctab+NAME`. What matters is which symbols are
 * exported: the sections' names. Contents follow from the names.
 */
export const exportTables: readonly SpecialTable[] = [
  exportTable('___ksymtab', true, 'refuse'),
  exportTable('__ksymtab_strings', false, 'ignore'),
  exportTable('__ksymtab', true, 'refuse'),
  exportTable('___kcrctab', true, 'ignore'),
  exportTable('__kcrctab', true, 'ignore'),
  exportTable('.export_symbol', false, 'refuse'),
];
