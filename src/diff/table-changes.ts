/**
 * Differences in the tables that the kernel reads once: initcalls, exports, parameters, trace events. An
 * entry that post has and pre has not would be an effect of the patch that never happens.
 */
import type { Section } from '../elf/model.ts';
import { tableEntries } from '../kernel/tables/table-entries.ts';
import { tableOf } from '../kernel/tables/table-of.ts';
import { baseName } from './base-name.ts';
import type { Diagnostic } from './diagnostic.ts';
import { resolveTarget, targetText } from './target.ts';
import { referencesBetween, type Unit } from './unit.ts';

interface NamedEntry {
  readonly section: string;
  /** Compares equal for the same entry in two builds. */
  readonly token: string;
  /** For a message. */
  readonly text: string;
}

function describe(unit: Unit, section: Section, from: number, to: number): NamedEntry {
  const bytes = Uint8Array.from(section.data.subarray(from, to));
  const references = referencesBetween(unit, section.index, from, to);
  const names: string[] = [];
  for (const reference of references) {
    bytes.fill(0, reference.offset - from, reference.offset - from + reference.width);
    const target = resolveTarget(unit, reference);
    names.push(target.kind === 'item' ? `${target.item.base}+${target.offset}` : targetText(target));
  }
  // `.BTF_ids` has no relocations: an entry is known by the symbol on it, `__BTF_ID__func__name__12`.
  for (const symbol of references.length > 0 ? [] : unit.object.symbols) {
    const at = Number(symbol.value);
    if (symbol.place === section.index && at >= from && at < to) names.push(symbol.name.replace(/\d+$/, ''));
  }
  const text = names.map((name) => baseName(name).replace(/\+0$/, '')).join(', ');
  return {
    section: section.name,
    token: `${section.name} ${Buffer.from(bytes).toString('hex')} ${names.join(' ')}`,
    text,
  };
}

function entriesOf(unit: Unit): NamedEntry[] {
  const found: NamedEntry[] = [];
  for (const section of unit.object.sections) {
    const table = tableOf(section.name);
    if (table?.onChange !== 'refuse' || section.size === 0) continue;
    if (section.name.includes('+')) {
      // One section an export: its name is all that matters.
      found.push({ section: section.name, token: section.name, text: section.name.replace(/^.*\+/, '') });
    } else if (table.entrySize === undefined || section.size % table.entrySize !== 0) {
      found.push(describe(unit, section, 0, section.size));
    } else {
      for (const entry of tableEntries(unit.object, section, table)) {
        found.push(describe(unit, section, entry.offset, entry.offset + table.entrySize));
      }
    }
  }
  return found;
}

/** Entries of `left` that `right` lacks; equal entries are counted. */
function missing(left: readonly NamedEntry[], right: readonly NamedEntry[]): NamedEntry[] {
  const counts = new Map<string, number>();
  for (const { token } of right) counts.set(token, (counts.get(token) ?? 0) + 1);
  return left.filter(({ token }) => {
    const count = counts.get(token) ?? 0;
    counts.set(token, count - 1);
    return count <= 0;
  });
}

/** Errors for new or changed entries, warnings for removed ones. */
export function tableChanges(pre: Unit, post: Unit): Diagnostic[] {
  const before = entriesOf(pre);
  const after = entriesOf(post);
  const { path } = post.object;
  const say = (entry: NamedEntry, verb: string, severity: 'error' | 'warning'): Diagnostic => ({
    code: 'table_changed',
    severity,
    message: `${path}: ${entry.section}: the patch ${verb} an entry${entry.text === '' ? '' : ` for ${entry.text}`}: ${tableOf(entry.section)?.why ?? ''}`,
    location: { unit: path, section: entry.section },
    ...(severity === 'error' ? { hint: 'do in a hook what the kernel would do with the entry' } : {}),
  });
  return [
    ...missing(after, before).map((entry) => say(entry, 'adds or changes', 'error')),
    ...missing(before, after)
      .filter((entry) => !after.some((other) => other.section === entry.section && other.text === entry.text))
      .map((entry) => say(entry, 'removes', 'warning')),
  ];
}
