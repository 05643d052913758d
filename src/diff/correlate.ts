/**
 * Which item of pre is which of post.
 *
 * A global name says it, and so does a static name that is unique in the unit. Names that the compiler
 * numbered do not: `__already_done.12` may be another flag after the patch, and to confuse two of them
 * joins the state of two places. These are told apart by use: the same function, unchanged or changed in
 * part, refers to its objects in the same order. References are aligned function by function, and each
 * aligned pair is a vote; functions whose code is the same have far heavier votes than changed ones.
 *
 * This is a heuristic where a function that uses several objects of one name is itself changed. What stays
 * without a partner counts as new on one side and removed on the other, which makes its users changed, so
 * an error here costs a larger update; the caller refuses where state would be lost (`isAmbiguous`).
 */
import { align } from './align.ts';
import { isNumbered } from './base-name.ts';
import { clearLineNumber, isDebugDescriptor } from './debug-descriptor.ts';
import { type ItemUse, maskedBytes } from './item-uses.ts';
import type { Unit, UnitItem } from './unit.ts';
import { type UnitSide, usesOf } from './unit-side.ts';

export interface Correlation {
  /** Partner of an item of post. */
  readonly preOf: ReadonlyMap<UnitItem, UnitItem>;
  /** Partner of an item of pre. */
  readonly postOf: ReadonlyMap<UnitItem, UnitItem>;
}

/** Vote of a pair of functions with the same code; a changed pair has 1. */
const SAME_CODE = 1000;

class Pairing {
  readonly preOf = new Map<UnitItem, UnitItem>();
  readonly postOf = new Map<UnitItem, UnitItem>();

  pair(pre: UnitItem, post: UnitItem): void {
    this.preOf.set(post, pre);
    this.postOf.set(pre, post);
  }

  isFree(pre: UnitItem, post: UnitItem): boolean {
    return !this.preOf.has(post) && !this.postOf.has(pre);
  }
}

function groupsOf(unit: Unit): Map<string, UnitItem[]> {
  const groups = new Map<string, UnitItem[]>();
  for (const item of unit.items) {
    // What is gone after boot is no partner of what stays.
    const isInit = item.sectionClass.startsWith('init-');
    const key = `${item.kind} ${isInit} ${item.base}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

type Users = ReadonlySet<string> | undefined;

function shareUser(pre: Users, post: Users): boolean {
  if (pre === undefined || post === undefined) return true;
  return [...post].some((name) => pre.has(name));
}

function pairByName(pre: UnitSide, post: UnitSide, pairing: Pairing): void {
  const before = groupsOf(pre.unit);
  for (const [key, group] of groupsOf(post.unit)) {
    const others = before.get(key) ?? [];
    // Names without numbers are unique within a unit.
    for (const item of group) {
      const other = isNumbered(item.name) ? undefined : others.find((each) => each.name === item.name);
      if (other !== undefined) pairing.pair(other, item);
    }
    const [item, ...more] = group.filter((each) => !pairing.preOf.has(each));
    const [other, ...moreOthers] = others.filter((each) => !pairing.postOf.has(each));
    const alone = more.length === 0 && moreOthers.length === 0;
    if (item === undefined || other === undefined || !alone) continue;
    if (item.kind === 'function' || shareUser(pre.users.get(other), post.users.get(item))) {
      pairing.pair(other, item);
    }
  }
}

/** What an item is but for the identity of what it refers to. */
function shape(side: UnitSide, item: UnitItem): string {
  const bytes = maskedBytes(side.unit, item);
  clearLineNumber(item, bytes);
  const tokens = usesOf(side, item).map((each) => each.token);
  return `${item.sectionClass} ${Buffer.from(bytes).toString('latin1')} ${tokens.join('\n')}`;
}

/** Clones, constants and debug descriptors: what is the same in both builds, one for one. */
function pairByShape(
  pre: UnitSide,
  post: UnitSide,
  pairing: Pairing,
  wanted: (item: UnitItem) => boolean,
): void {
  const before = new Map<string, UnitItem[]>();
  const free = (side: UnitSide, taken: ReadonlyMap<UnitItem, UnitItem>): UnitItem[] =>
    side.unit.items.filter((item) => !taken.has(item) && isNumbered(item.name) && wanted(item));
  for (const item of free(pre, pairing.postOf)) {
    const key = `${item.base} ${shape(pre, item)}`;
    before.set(key, [...(before.get(key) ?? []), item]);
  }
  for (const item of free(post, pairing.preOf)) {
    const other = before.get(`${item.base} ${shape(post, item)}`)?.shift();
    if (other !== undefined) pairing.pair(other, item);
  }
}

function alignUses(
  left: readonly ItemUse[],
  right: readonly ItemUse[],
): readonly (readonly [ItemUse, ItemUse])[] {
  const pairs = align(
    left.map((each) => each.token),
    right.map((each) => each.token),
  );
  return pairs.flatMap(([i, j]) => {
    const a = left[i];
    const b = right[j];
    return a === undefined || b === undefined ? [] : [[a, b] as const];
  });
}

interface Vote {
  readonly pre: UnitItem;
  readonly post: UnitItem;
  weight: number;
}

/** Votes of one pair of items for what their references mean. */
function collectVotes(
  pre: UnitSide,
  post: UnitSide,
  pair: readonly [UnitItem, UnitItem],
  pairing: Pairing,
  votes: Map<UnitItem, Vote[]>,
): void {
  const [before, after] = pair;
  const left = usesOf(pre, before);
  const right = usesOf(post, after);
  const undecided = right.some(({ target }) => target.kind === 'item' && !pairing.preOf.has(target.item));
  if (!undecided) return;
  const sameCode =
    left.length === right.length &&
    Buffer.compare(maskedBytes(pre.unit, before), maskedBytes(post.unit, after)) === 0;
  for (const [a, b] of alignUses(left, right)) {
    if (a.target.kind !== 'item' || b.target.kind !== 'item') continue;
    const preItem = a.target.item;
    const postItem = b.target.item;
    if (!pairing.isFree(preItem, postItem) || preItem.size !== postItem.size) continue;
    const list = votes.get(postItem) ?? [];
    const known = list.find((vote) => vote.pre === preItem);
    const weight = sameCode ? SAME_CODE : 1;
    if (known === undefined) list.push({ pre: preItem, post: postItem, weight });
    else known.weight += weight;
    votes.set(postItem, list);
  }
}

/** Rounds of voting: what is paired in one round (a table) has references that vote in the next. */
function pairByUse(pre: UnitSide, post: UnitSide, pairing: Pairing): void {
  for (;;) {
    const votes = new Map<UnitItem, Vote[]>();
    for (const pair of pairing.postOf) collectVotes(pre, post, pair, pairing, votes);
    const ranked = [...votes.values()].flat().sort((a, b) => b.weight - a.weight);
    let progress = false;
    for (const vote of ranked) {
      if (!pairing.isFree(vote.pre, vote.post)) continue;
      pairing.pair(vote.pre, vote.post);
      progress = true;
    }
    if (!progress) return;
  }
}

/** Pass 1: partners of all items, by name, by contents, by use. */
export function correlate(pre: UnitSide, post: UnitSide): Correlation {
  const pairing = new Pairing();
  pairByName(pre, post, pairing);
  pairByShape(pre, post, pairing, (item) => item.kind === 'function');
  pairByShape(pre, post, pairing, isDebugDescriptor);
  pairByUse(pre, post, pairing);
  pairByShape(pre, post, pairing, (item) => item.kind === 'object' && item.sectionClass === 'rodata');
  return pairing;
}

/**
 * Whether an object of post without a partner may be one of pre's, which has none either: same name but for
 * the number, same size, same source function. Its state would be lost if it were taken for new.
 */
export function isAmbiguous(
  pre: UnitSide,
  post: UnitSide,
  correlation: Correlation,
  item: UnitItem,
): UnitItem | undefined {
  if (!isNumbered(item.name)) return undefined;
  return pre.unit.items.find(
    (other) =>
      other.base === item.base &&
      other.kind === item.kind &&
      !correlation.postOf.has(other) &&
      shareUser(pre.users.get(other), post.users.get(item)),
  );
}
