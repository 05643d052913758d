/**
 * Exports. EXPORT_SYMBOL makes a section for each: `___ksymtab+NAME`, or `___ksymtab_gpl+NAME`, and in
 * `__ksymtab_strings` the symbol's name and its namespace (include/linux/export.h). The linker sorts them into
 * the tables by which the module loader binds a module's undefined symbols, and these are constant.
 *
 * A new export so has no effect, and needs none as far as this update goes: its own code reaches every symbol of
 * the kernel, exported or not. An export that the patch takes away or restricts stays as it was, which the author
 * of such a patch has to know.
 *
 * The CRC that stands for the type of an export (CONFIG_MODVERSIONS) lies in no object file: see export-type-changes.ts.
 */
import type { ObjectFile } from '../elf/model.ts';
import { exportSection } from '../kernel/tables/exported-names.ts';
import type { Diagnostic, DiagnosticLocation } from './diagnostic.ts';

interface Export {
  readonly name: string;
  readonly section: string;
  readonly gpl: boolean;
  /** Empty for none. */
  readonly namespace: string;
}

function textAt(object: ObjectFile, symbolName: string): string {
  const symbol = object.symbols.find(({ name, place }) => name === symbolName && typeof place === 'number');
  const data = typeof symbol?.place === 'number' ? object.sections[symbol.place]?.data : undefined;
  if (symbol === undefined || data === undefined) return '';
  const start = Number(symbol.value);
  const end = data.indexOf(0, start);
  return Buffer.from(data.subarray(start, end < 0 ? data.length : end)).toString('latin1');
}

function exportsOf(object: ObjectFile): ReadonlyMap<string, Export> {
  return new Map(
    object.sections.flatMap((section) => {
      const [, gpl, name] = exportSection.exec(section.name) ?? [];
      if (name === undefined || section.size === 0) return [];
      const namespace = textAt(object, `__kstrtabns_${name}`);
      return [[name, { name, section: section.name, gpl: gpl !== undefined, namespace }] as const];
    }),
  );
}

function kindText({ gpl, namespace }: Export): string {
  const users = gpl ? 'to GPL modules' : 'to all modules';
  return namespace === '' ? users : `${users}, in namespace ${namespace}`;
}

const FIXED =
  "the running kernel's table of exports is fixed, so no module can be bound to it; " +
  'code of this update needs no export';
const AS_BEFORE = ': the running kernel goes on exporting it as before';
const BOUND = 'modules that are loaded are bound to it, and the running kernel goes on exporting it';

/** Warnings for new exports, errors for those that the patch takes away or exports in another way. */
export function exportChanges(pre: ObjectFile, post: ObjectFile): readonly Diagnostic[] {
  const { path } = post;
  const before = exportsOf(pre);
  const after = exportsOf(post);
  const at = ({ section, name }: Export): DiagnosticLocation => ({ unit: path, section, symbol: name });
  const found: Diagnostic[] = [];
  for (const now of after.values()) {
    const old = before.get(now.name);
    if (old === undefined) {
      const message = `${path}: ${now.name}: new export is left out: ${FIXED}`;
      const hint = 'put what uses the symbol into the same patch';
      found.push({ code: 'export_added', severity: 'warning', message, location: at(now), hint });
    } else if (old.gpl !== now.gpl || old.namespace !== now.namespace) {
      const message = `${path}: ${now.name}: exported ${kindText(now)} by the patch, before ${kindText(old)}${AS_BEFORE}`;
      const hint =
        'leave the export in the patch as the original has it; what it is exported as changes with a reboot only';
      found.push({ code: 'export_changed', severity: 'error', message, location: at(now), hint });
    }
  }
  for (const old of before.values()) {
    if (after.has(old.name)) continue;
    const message = `${path}: ${old.name}: the patch removes its export (${kindText(old)}): ${BOUND}`;
    const hint =
      'leave EXPORT_SYMBOL and the function in the patched source, and change what the function does';
    found.push({ code: 'export_removed', severity: 'error', message, location: at(old), hint });
  }
  return found;
}
