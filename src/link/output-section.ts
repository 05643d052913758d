/**
 * Into which section of the module each input section goes.
 *
 * The module loader gives meaning to names, so few are left: `.smp_locks` entries are honoured only for
 * addresses in the section named `.text` (arch/x86/kernel/module.c), and per-CPU data is found only in
 * `.data..percpu` (kernel/module/main.c, find_pcpusec()), whatever a built-in object called it. Records of
 * pr_debug() can be switched on only in `__dyndbg` (find_module_sections()).
 */
import { FormatError } from '../diagnostics/error.ts';
import type { Section } from '../elf/model.ts';
import { classifySection } from '../kernel/tables/classify-section.ts';
import { tableOf } from '../kernel/tables/table-of.ts';
import { NOTE_SECTION } from '../update/module-note.ts';

/** What only a module's own objects may bring: for built-in code these belong to existing things. */
const moduleMetadata = new Set(['.modinfo', '.gnu.linkonce.this_module', '__versions', NOTE_SECTION]);

/**
 * Name in the module, or undefined if the section stays out.
 *
 * @param isModuleObject the object was compiled as a module's own (the core, the stub), not extracted
 * from a unit of the kernel
 */
export function outputSectionName(
  path: string,
  section: Section,
  isModuleObject: boolean,
): string | undefined {
  if (moduleMetadata.has(section.name)) return isModuleObject ? section.name : undefined;
  const table = tableOf(section.name);
  if (table !== undefined) return table.extraction === 'drop' ? undefined : section.name;
  switch (classifySection(section)) {
    case 'text':
    case 'restricted-text':
    case 'init-text':
    case 'exit-text':
      return '.text';
    case 'rodata':
    case 'constants':
      return '.rodata';
    case 'strings':
      return '.rodata.str';
    case 'data':
    case 'init-data':
      if (section.name === '__dyndbg') return section.name;
      return section.name.startsWith('.data..ro_after_init') ? '.data..ro_after_init' : '.data';
    case 'bss':
      return '.bss';
    case 'percpu':
      return '.data..percpu';
    case 'table':
    case 'hooks':
    case 'drop':
      return undefined;
    case 'unknown':
      throw new FormatError(
        'malformed_object',
        `${path}: ${section.name}: a section that this version does not know`,
        { hint: 'please report it: its meaning to the kernel has to be understood first' },
      );
  }
}
