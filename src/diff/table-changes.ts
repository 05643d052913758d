/**
 * Differences in the tables that belong to no function: initcalls, boot options, parameters, PCI fixups,
 * trace events. The kernel that runs has its own, so what the patch does to one has no effect by itself; each kind
 * has its own reason and its own way out (table-meanings).
 */
import type { Diagnostic } from './diagnostic.ts';
import { moduleInfoChanges } from './module-info-changes.ts';
import { type NamedEntry, namedEntries } from './table-entry.ts';
import { type EntryChange, tableMeaning } from './table-meanings.ts';
import type { Unit } from './unit.ts';

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

/** Entries about one thing, in tables of one meaning: an initcall may move from level to level. */
function isSameThing(left: NamedEntry, right: NamedEntry): boolean {
  return (
    left.text === right.text &&
    (left.section === right.section || tableMeaning(left.section) === tableMeaning(right.section))
  );
}

const verbs: Readonly<Record<EntryChange, string>> = {
  added: 'adds',
  changed: 'changes',
  removed: 'removes',
};

function describe(path: string, entry: NamedEntry, change: EntryChange): Diagnostic {
  const { code, noun, verdicts } = tableMeaning(entry.section);
  const { severity, why, hint } = verdicts[change];
  const what = entry.text === '' ? noun.replace(/,$/, '') : `${noun} ${entry.text}`;
  return {
    code,
    severity,
    message: `${path}: ${entry.section}: the patch ${verbs[change]} ${what}: ${why}`,
    location: { unit: path, section: entry.section, ...(entry.text === '' ? {} : { symbol: entry.text }) },
    ...(hint === undefined ? {} : { hint }),
  };
}

/** What the patch does to tables, each entry by name; errors where its effect would be missing. */
export function tableChanges(pre: Unit, post: Unit): readonly Diagnostic[] {
  const { path } = post.object;
  const [before, after] = [namedEntries(pre), namedEntries(post)];
  const fresh = missing(after, before);
  const gone = new Set(missing(before, after));
  const found = fresh.map((entry) => {
    const old = [...gone].find((each) => isSameThing(each, entry));
    if (old === undefined) return describe(path, entry, 'added');
    gone.delete(old);
    return describe(path, entry, 'changed');
  });
  return [
    ...found,
    ...[...gone].map((entry) => describe(path, entry, 'removed')),
    ...moduleInfoChanges(pre.object, post.object),
  ];
}
