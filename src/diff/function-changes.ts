import { coldParent } from './base-name.ts';
import { type Comparison, compareFunctions, linesDiffer } from './compare-items.ts';
import type { Diagnostic } from './diagnostic.ts';
import { addFollowers } from './followers.ts';
import type { UnitItem } from './unit.ts';
import { itemPart, type NewFunction, type RemovedFunction, type ReplacedFunction } from './unit-change.ts';
import { type UnitSide, usesOf } from './unit-side.ts';
import { unreplaceable } from './unreplaceable.ts';

export interface FunctionChanges {
  readonly replaced: readonly ReplacedFunction[];
  readonly newFunctions: readonly NewFunction[];
  readonly removedFunctions: readonly RemovedFunction[];
  readonly diagnostics: readonly Diagnostic[];
  readonly unchanged: number;
}

/** The function that an item belongs to: itself, or the one whose cold part it is. */
function wholeOf(byName: ReadonlyMap<string, UnitItem>, item: UnitItem): UnitItem {
  const parent = coldParent(item.name);
  return parent === undefined ? item : (byName.get(parent) ?? item);
}

function functionsByName(side: UnitSide): Map<string, UnitItem> {
  const byName = new Map<string, UnitItem>();
  for (const item of side.unit.items) {
    if (item.kind !== 'function') continue;
    for (const name of [item.name, ...item.aliases]) byName.set(name, item);
  }
  return byName;
}

/** Cold parts by function. */
function coldParts(byName: ReadonlyMap<string, UnitItem>): Map<UnitItem, UnitItem[]> {
  const parts = new Map<UnitItem, UnitItem[]>();
  for (const item of new Set(byName.values())) {
    const whole = wholeOf(byName, item);
    if (whole !== item) parts.set(whole, [...(parts.get(whole) ?? []), item]);
  }
  return parts;
}

/** Differences by function of post; those of a cold part count for its function. */
function findDifferences(
  comparison: Comparison,
  postNames: ReadonlyMap<string, UnitItem>,
): { why: Map<UnitItem, string[]>; linesOnly: string[] } {
  const why = new Map<UnitItem, string[]>();
  const linesOnly: string[] = [];
  for (const [post, pre] of comparison.correlation.preOf) {
    if (post.kind !== 'function') continue;
    const found = compareFunctions(comparison, pre, post);
    const whole = wholeOf(postNames, post);
    if (found !== undefined) {
      why.set(whole, [...(why.get(whole) ?? []), whole === post ? found : `${post.name}: ${found}`]);
    } else if (linesDiffer(comparison, pre, post)) linesOnly.push(post.name);
  }
  addFollowers(comparison, why, (item) => wholeOf(postNames, item));
  return { why, linesOnly };
}

/** Boot code and data are freed after boot: code that is kept must not name them. */
function initReferences(side: UnitSide, kept: readonly UnitItem[]): Diagnostic[] {
  const { path } = side.unit.object;
  const found: Diagnostic[] = [];
  for (const item of kept) {
    for (const { target } of usesOf(side, item)) {
      if (target.kind !== 'item' || !target.item.sectionClass.startsWith('init-')) continue;
      found.push({
        code: 'refers_to_init',
        severity: 'error',
        message: `${path}: ${item.name} refers to ${target.item.name}, which is freed after boot`,
        location: { unit: path, section: item.section.name, symbol: item.name },
        hint: `add a copy of ${target.item.name} to the patch, under another name and not __init, or do without it`,
      });
    }
  }
  return found;
}

function newFunctions(
  comparison: Comparison,
  postNames: ReadonlyMap<string, UnitItem>,
): { functions: UnitItem[]; diagnostics: Diagnostic[] } {
  const { path } = comparison.post.unit.object;
  const functions: UnitItem[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const item of new Set(postNames.values())) {
    const isWhole = wholeOf(postNames, item) === item;
    if (comparison.correlation.preOf.has(item) || !isWhole) continue;
    if (item.sectionClass === 'text') functions.push(item);
    if (item.sectionClass !== 'restricted-text') continue;
    diagnostics.push({
      code: 'restricted_code_changed',
      severity: 'error',
      message: `${path}: ${item.name}: new function in ${item.section.name}, which a module cannot have`,
      location: { unit: path, section: item.section.name, symbol: item.name },
      hint: 'make it an ordinary function, if what calls it allows that',
    });
  }
  return { functions, diagnostics };
}

/** New functions that somebody can come to: global ones, and those that kept code names. */
function reachable(side: UnitSide, fresh: readonly UnitItem[], roots: readonly UnitItem[]): UnitItem[] {
  const wanted = new Set(fresh);
  const seen = new Set<UnitItem>();
  const queue = [...roots, ...fresh.filter((item) => item.scope === 'global')];
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    if (seen.has(item)) continue;
    seen.add(item);
    for (const { target } of usesOf(side, item)) {
      if (target.kind !== 'item') continue;
      // Objects may be new, too; existing ones name no new function, or they would be changed.
      const isPart = target.item.kind === 'object' || coldParent(target.item.name) !== undefined;
      if (isPart || wanted.has(target.item)) queue.push(target.item);
    }
  }
  return fresh.filter((item) => seen.has(item));
}

/**
 * Pass 4: which functions are changed, new, gone.
 * @param hooks functions of post that the core will call: new ones that nobody else need name
 */
export function functionChanges(comparison: Comparison, hooks: readonly UnitItem[] = []): FunctionChanges {
  const { pre, post, correlation } = comparison;
  const { path } = post.unit.object;
  const preNames = functionsByName(pre);
  const postNames = functionsByName(post);
  const preCold = coldParts(preNames);
  const postCold = coldParts(postNames);
  const { why, linesOnly } = findDifferences(comparison, postNames);

  const diagnostics: Diagnostic[] = [];
  const replaced: ReplacedFunction[] = [];
  const kept: UnitItem[] = [];
  for (const [item, reasons] of why) {
    const partner = correlation.preOf.get(item);
    // A cold part whose function is new goes with it.
    if (partner === undefined) continue;
    const refusal = unreplaceable(pre, partner, reasons[0] ?? '');
    if (refusal !== undefined) {
      diagnostics.push(refusal);
      continue;
    }
    kept.push(item, ...(postCold.get(item) ?? []));
    replaced.push({
      name: partner.name,
      pre: itemPart(partner),
      post: itemPart(item),
      preCold: (preCold.get(partner) ?? []).map(itemPart),
      postCold: (postCold.get(item) ?? []).map(itemPart),
      why: reasons,
    });
  }

  const fresh = newFunctions(comparison, postNames);
  const added = reachable(post, fresh.functions, [...kept, ...hooks]);
  for (const item of added) kept.push(item, ...(postCold.get(item) ?? []));
  const removed = [...new Set(preNames.values())].filter(
    (item) => !correlation.postOf.has(item) && wholeOf(preNames, item) === item,
  );
  if (linesOnly.length > 0) {
    const names = linesOnly.length > 8 ? `${linesOnly.slice(0, 8).join(', ')}, ...` : linesOnly.join(', ');
    const message = `${path}: only line numbers differ in ${linesOnly.length} functions: ${names}`;
    diagnostics.push({ code: 'line_numbers_only', severity: 'note', message, location: { unit: path } });
  }
  const wholes = [...postNames.values()].filter((item) => wholeOf(postNames, item) === item);
  return {
    replaced,
    newFunctions: added.map((item) => ({
      name: item.name,
      post: itemPart(item),
      postCold: (postCold.get(item) ?? []).map(itemPart),
    })),
    removedFunctions: removed.map((item) => ({ name: item.name, pre: itemPart(item) })),
    diagnostics: [...diagnostics, ...fresh.diagnostics, ...initReferences(post, kept)],
    unchanged: new Set(wholes.filter((item) => correlation.preOf.has(item) && !why.has(item))).size,
  };
}
