/**
 * Differences in data. Code is replaced, data is not: an object of the running kernel has been written to
 * since it booted, and others hold its address. So a changed object refuses the update, with one exception:
 * a constant table that only functions of this unit name, and that holds no pointers but to text, has no
 * state and no identity anybody could see; the new one is copied, and whoever uses it is replaced.
 */
import { staticCallText } from '../kernel/tables/static-calls.ts';
import { isCopyableConstant } from './base-name.ts';
import { type Comparison, compareContents } from './compare-items.ts';
import { isAmbiguous } from './correlate.ts';
import type { Diagnostic } from './diagnostic.ts';
import { refuseSpecialPlace } from './special-places.ts';
import type { UnitItem } from './unit.ts';
import { type DataChange, type ItemPart, itemPart } from './unit-change.ts';
import { type UnitSide, usesOf } from './unit-side.ts';

export interface DataChanges {
  readonly newData: readonly ItemPart[];
  readonly removedData: readonly ItemPart[];
  readonly copied: ReadonlySet<UnitItem>;
  readonly copiedData: readonly DataChange[];
  readonly changedData: readonly DataChange[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Objects named by other objects, through which somebody else may come to them. */
function namedByData(side: UnitSide): Set<UnitItem> {
  const named = new Set<UnitItem>();
  for (const [item, uses] of side.uses) {
    if (item.kind !== 'object') continue;
    for (const { target } of uses) if (target.kind === 'item') named.add(target.item);
  }
  return named;
}

function isCopyable(side: UnitSide, item: UnitItem, named: ReadonlySet<UnitItem>): boolean {
  if (item.sectionClass !== 'rodata' || item.scope !== 'unit' || named.has(item)) return false;
  if (isCopyableConstant(item.name)) return true;
  return usesOf(side, item).every(({ target }) => target.kind === 'piece' && target.piece.kind === 'string');
}

const isWritable = (item: UnitItem): boolean => item.sectionClass === 'data' || item.sectionClass === 'bss';

/**
 * A variable that the patched code only reads is a constant to the compiler, and lies where these do. In the running kernel it
 * has what was written to it, so it stays the object that it is.
 */
function isSameKind(pre: UnitItem, post: UnitItem): boolean {
  if (pre.sectionClass === post.sectionClass) return true;
  return isWritable(pre) && (isWritable(post) || post.sectionClass === 'rodata');
}

function difference(comparison: Comparison, pre: UnitItem, post: UnitItem): string | undefined {
  if (!isSameKind(pre, post)) {
    return `lies in ${post.section.name}, before in ${pre.section.name}`;
  }
  if (pre.size !== post.size) return `size ${post.size} bytes, before ${pre.size}`;
  return compareContents(comparison, pre, post);
}

/** Pairs of objects that differ; repeated until no copied object makes another one different. */
function findDifferences(comparison: Comparison): {
  changes: Map<UnitItem, DataChange>;
  copied: Set<UnitItem>;
} {
  const { post, correlation } = comparison;
  const named = namedByData(post);
  const copied = new Set<UnitItem>();
  for (;;) {
    const changes = new Map<UnitItem, DataChange>();
    const before = copied.size;
    for (const [item, partner] of correlation.preOf) {
      if (item.kind !== 'object' || item.sectionClass === 'table') continue;
      const why = difference({ ...comparison, copied }, partner, item);
      if (why === undefined) continue;
      changes.set(item, { name: partner.name, pre: itemPart(partner), post: itemPart(item), why });
      if (isCopyable(post, item, named)) copied.add(item);
    }
    if (copied.size === before) return { changes, copied };
  }
}

/** A hook that wrote to what the kernel protects (mark_rodata_ro()) would be the end of it. */
function adviceOnValue(before: UnitItem): string {
  return before.sectionClass === 'rodata' || before.section.name === '.data..ro_after_init'
    ? 'it is write-protected in the running kernel: leave it as it is, and have the code that uses it use a new object'
    : 'leave the initial value as it is, and change the object in a hook that runs when the update is applied';
}

function describeChange(
  path: string,
  item: UnitItem,
  before: UnitItem,
  change: DataChange,
  copied: boolean,
): Diagnostic {
  const location = { unit: path, section: item.section.name, symbol: item.name };
  if (item.sectionClass === 'init-data') {
    const message = `${path}: ${change.name}: data used at boot only is changed (${change.why}): no effect on a running kernel`;
    const hint = 'do in a hook what the new values would have brought about';
    return { code: 'init_data_changed', severity: 'warning', message, location, hint };
  }
  if (copied) {
    const message = `${path}: ${change.name}: constant table is changed (${change.why}): the functions that use it get a copy`;
    return { code: 'const_data_copied', severity: 'warning', message, location };
  }
  const layout = change.pre.size !== change.post.size || change.why.startsWith('lies in');
  return {
    code: layout ? 'data_layout_changed' : 'data_changed',
    severity: 'error',
    message: `${path}: ${change.name}: existing data is changed by the patch (${change.why})`,
    location,
    hint: layout
      ? 'the object of the running kernel stays where and as large as it is: keep what is new in an object of its own'
      : adviceOnValue(before),
  };
}

/**
 * Flags that a message has been printed (WARN_ONCE), and how many were lately: `_rs` of printk_ratelimited() and the like
 * (DEFINE_RATELIMIT_STATE in a function). They hold nothing worth keeping, so that a new one does as well as the old.
 */
function isOfMessages(item: UnitItem): boolean {
  return item.section.name === '.data.once' || (item.base === '_rs' && item.scope === 'unit');
}

function describeNew(comparison: Comparison, item: UnitItem): Diagnostic[] {
  const { pre, post, correlation } = comparison;
  const { path } = post.unit.object;
  const location = { unit: path, section: item.section.name, symbol: item.name };
  const misplaced = refuseSpecialPlace(path, item);
  if (misplaced !== undefined) return [misplaced];
  if (item.section.name === staticCallText.section) {
    const message = `${path}: ${item.name}: the patch adds a static call`;
    const hint = 'a new static call cannot be made in a module; call through a pointer instead';
    return [{ code: 'static_call_added', severity: 'error', message, location, hint }];
  }
  if (!isWritable(item) || item.size === 0 || isOfMessages(item)) return [];
  const other = isAmbiguous(pre, post, correlation, item);
  if (other === undefined) return [];
  const message =
    other.size === item.size
      ? `${path}: ${item.name}: cannot tell whether this is ${other.name} of the original or new`
      : `${path}: ${item.name}: size ${item.size} bytes, but ${other.name} of the original has ${other.size}`;
  const hint = 'give the static variable a name that is unique in the file';
  const code = other.size === item.size ? 'ambiguous_object' : 'data_layout_changed';
  return [{ code, severity: 'error', message, location, hint }];
}

/** Pass 3: what the patch does to data. */
export function dataChanges(comparison: Comparison): DataChanges {
  const { pre, post, correlation } = comparison;
  const { path } = post.unit.object;
  const { changes, copied } = findDifferences(comparison);
  const isCopied = ([item]: readonly [UnitItem, DataChange]): boolean => copied.has(item);
  const fresh = post.unit.items.filter(
    (item) => item.kind === 'object' && !correlation.preOf.has(item) && item.sectionClass !== 'init-data',
  );
  const gone = pre.unit.items.filter(
    (item) => item.kind === 'object' && !correlation.postOf.has(item) && item.sectionClass !== 'init-data',
  );
  const lasting = [...changes].filter(([item]) => item.sectionClass !== 'init-data');
  return {
    newData: fresh.filter((item) => item.sectionClass !== 'table').map(itemPart),
    removedData: gone.filter((item) => item.sectionClass !== 'table').map(itemPart),
    copied,
    copiedData: lasting.filter(isCopied).map(([, change]) => change),
    changedData: lasting.filter((each) => !isCopied(each)).map(([, change]) => change),
    diagnostics: [
      // Strings that the compiler makes (`__func__`) change with the code; nobody needs to hear of it.
      ...[...changes]
        .filter(([item]) => !(copied.has(item) && isCopyableConstant(item.name)))
        .map(([item, change]) =>
          describeChange(path, item, correlation.preOf.get(item) ?? item, change, copied.has(item)),
        ),
      ...fresh.flatMap((item) => describeNew(comparison, item)),
    ],
  };
}
