/**
 * Exports whose CRC differs (build/export-crcs.ts). Modules that are loaded were bound by the old CRC, and so are those
 * that are loaded later, since the kernel's table stays as it is: the patched function would be called by code that was
 * compiled for another type. Debug information shows layouts and signatures (type-changes.ts); a CRC covers every word of
 * the declarations: signs, qualifiers, what a pointer leads to.
 */
import type { ExportCrcChange } from '../build/export-crcs.ts';
import type { TypeTextChange } from '../build/symtypes.ts';
import { hex } from '../diagnostics/hex.ts';
import type { Diagnostic } from './diagnostic.ts';

/** More exports or types in one message help nobody. */
const SHOWN = 3;
/** Characters of a type. */
const TEXT = 100;

function shorten(text: string): string {
  return text.length > TEXT ? `${text.slice(0, TEXT - 3)}...` : text;
}

function listed(parts: readonly string[]): string {
  const rest = parts.length - SHOWN;
  return [...parts.slice(0, SHOWN), ...(rest > 0 ? [`${rest} more`] : [])].join(', ');
}

function crcText({ name, before, after }: ExportCrcChange): string {
  return `${name} (CRC ${hex(after)}, before ${hex(before)})`;
}

function typeText({ name, before, after }: TypeTextChange): string {
  return `${name} has "${shorten(after)}", before "${shorten(before)}"`;
}

/** Changes with the same reason, together. */
function byReason(changes: readonly ExportCrcChange[]): readonly (readonly ExportCrcChange[])[] {
  const groups = new Map<string, ExportCrcChange[]>();
  for (const change of changes) {
    // Where only its own declaration differs, each stands for itself.
    const key = JSON.stringify(change.types.map(({ name }) => name));
    groups.set(key, [...(groups.get(key) ?? []), change]);
  }
  return [...groups.values()];
}

/**
 * Errors for exports of another type, one for all that have the same reason.
 * @param unit path of the unit's object
 * @param told names of types and exports that are errors already: what follows from them is not told again
 */
export function exportTypeChanges(
  unit: string,
  changes: readonly ExportCrcChange[],
  told: ReadonlySet<string>,
): readonly Diagnostic[] {
  const unknown = changes.filter(({ types }) => types.length === 0);
  const open = changes.filter(
    ({ name, types }) => types.length > 0 && !told.has(name) && !types.every((type) => told.has(type.name)),
  );
  const errors = byReason(open).map((group): Diagnostic => {
    const [first] = group;
    const types = first?.types ?? [];
    const what = group.length === 1 ? 'is exported with another type' : 'are exported with other types';
    const why = types.slice(0, SHOWN).map(typeText).join('; ');
    return {
      code: 'export_crc_changed',
      severity: 'error',
      message: `${unit}: ${listed(group.map(crcText))} ${what} after the patch: ${why}`,
      location: { unit, ...(first === undefined ? {} : { symbol: first.name }) },
      hint:
        'modules were compiled for the old type, and go on being bound to it: leave the declarations as they are; where ' +
        'both mean the same to a module, keep the old text for its CRC in #ifdef __GENKSYMS__',
    };
  });
  if (unknown.length === 0) return errors;
  const message =
    `${unit}: ${listed(unknown.map(crcText))}: no type of these exports changes, but the unit knows more or less of ` +
    'some (another #include), of which their CRC is made';
  return [...errors, { code: 'export_crc_differs', severity: 'note', message, location: { unit } }];
}
