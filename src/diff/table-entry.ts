/**
 * Entries of the tables that are not about code: initcalls, boot options, parameters, PCI fixups, trace events.
 * They have no field that names an owner; what they mean is told by what they refer to.
 */
import type { Section } from '../elf/model.ts';
import { tableEntries } from '../kernel/tables/table-entries.ts';
import { tableOf } from '../kernel/tables/table-of.ts';
import { baseName } from './base-name.ts';
import { resolveTarget, type Target, targetText } from './target.ts';
import { bytesOf, type Reference, referencesBetween, type Unit } from './unit.ts';

export interface NamedEntry {
  readonly section: string;
  /** Compares equal for the same entry in two builds. */
  readonly token: string;
  /** What it is about, for a message: `tcp_init`, `"debug"`, `quirk_foo (0x8086:0x1237)`; may be empty. */
  readonly text: string;
}

/** Names of parameters and options are strings with a name of their own, `__param_str_debug`. */
const namedString = /^(?:__param_str_|__setup_str_)/;

/** Objects whose name says what they describe, behind a prefix that says what they are. */
const prefixes =
  /^(?:__syscall_meta__|__event_|event_|__tracepoint_|__SCK__|__SCT__|__setup_|__thermal_table_entry_)/;

function wordFor(target: Target): string {
  if (target.kind !== 'item') return targetText(target);
  const { item } = target;
  if (namedString.test(item.name)) {
    const bytes = Buffer.from(bytesOf(item));
    return JSON.stringify(bytes.subarray(0, Math.max(bytes.indexOf(0), 0)).toString('latin1'));
  }
  return baseName(item.name).replace(prefixes, '');
}

/** The word that stands for an entry: that of its first reference, which is what all these structs begin with. */
function textFor(section: Section, bytes: Uint8Array, words: readonly string[]): string {
  const [first = ''] = words;
  if (!section.name.startsWith('.pci_fixup') || bytes.length !== 16) return first;
  // struct pci_fixup (include/linux/pci.h): u16 vendor, u16 device, u32 class, u32 class_shift, s32 hook.
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [vendor, device] = [0, 2].map((at) => {
    const id = view.getUint16(at, true);
    return id === 0xffff ? 'any' : `0x${id.toString(16).padStart(4, '0')}`;
  });
  return `${first} (${vendor}:${device})`;
}

function identity(target: Target): string {
  return target.kind === 'item' ? `${target.item.base}+${target.offset}` : targetText(target);
}

function describe(unit: Unit, section: Section, from: number, to: number): NamedEntry {
  const bytes = Uint8Array.from(section.data.subarray(from, to));
  const references = referencesBetween(unit, section.index, from, to);
  const targets = references.map((reference: Reference) => {
    bytes.fill(0, reference.offset - from, reference.offset - from + reference.width);
    return resolveTarget(unit, reference);
  });
  const tokens = targets.map(identity);
  const words = targets.map(wordFor);
  // `.BTF_ids` has no relocations: an entry is known by the symbol on it, `__BTF_ID__func__name__12`.
  for (const symbol of references.length > 0 ? [] : unit.object.symbols) {
    const at = Number(symbol.value);
    if (symbol.place !== section.index || at < from || at >= to) continue;
    const name = symbol.name.replace(/\d+$/, '');
    tokens.push(name);
    words.push(name.replace(/^__BTF_ID__(?:[a-z]+__)?/, '').replace(/__$/, ''));
  }
  return {
    section: section.name,
    token: `${section.name} ${Buffer.from(bytes).toString('hex')} ${tokens.join(' ')}`,
    text: textFor(section, bytes, words),
  };
}

/** All such entries of a unit, but for exports (see export-changes). */
export function namedEntries(unit: Unit): readonly NamedEntry[] {
  const found: NamedEntry[] = [];
  for (const section of unit.object.sections) {
    const table = tableOf(section.name);
    const isExport = section.name.startsWith('___ksymtab');
    if (table?.onChange !== 'refuse' || section.size === 0 || isExport) continue;
    if (table.entrySize === undefined || section.size % table.entrySize !== 0) {
      found.push(describe(unit, section, 0, section.size));
      continue;
    }
    for (const entry of tableEntries(unit.object, section, table)) {
      found.push(describe(unit, section, entry.offset, entry.offset + table.entrySize));
    }
  }
  return found;
}
