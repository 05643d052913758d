/**
 * Whose code it is that a patch finds, where updates are applied already: the kernel's own, or what an update
 * below has brought.
 *
 * The source is compiled as it was before each of these updates. What one changed and brought is found as it was when that
 * update was made, and must give the very replacement object that its file has. So every function and object of the
 * source on top is followed down, update by update, to where the machine has it.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { writeObject } from '../elf/write-object.ts';
import type { Comparison } from './compare-items.ts';
import { extractReplacement } from './extract-replacement.ts';
import type { Replacement } from './replacement.ts';
import type { UnitItem } from './unit.ts';
import { needsReplacement, type UnitChange } from './unit-change.ts';

/** What an update below does to a unit. */
export interface LevelInput {
  readonly id: string;
  /** Of the sectioned objects of the source before and after it. */
  readonly comparison: Comparison;
  /** What differs between them. */
  readonly change: UnitChange;
  /** The replacement object in that update's file; undefined if it has none for this unit. */
  readonly replacement: Uint8Array | undefined;
}

/** A function or object on the machine. */
export interface Owned {
  /** The update that brought it; undefined for what is the kernel's own. */
  readonly owner: string | undefined;
  /** Its name in the unit, or in the owner's replacement object. */
  readonly name: string;
}

/** What a name of the topmost source stands for. */
export interface ItemName {
  readonly name: string;
  readonly sectionName: string;
  readonly offset: number;
}

interface Level {
  readonly id: string;
  readonly comparison: Comparison;
  /** Undefined where the update changes nothing of the unit. */
  readonly replacement: Replacement | undefined;
}

export interface CodeBelow {
  /** Where the code lies that is called as this function; `name` is that of the function in the topmost source. */
  readonly codeOf: (name: string) => Owned;
  /**
   * What a reference stands for: of a function that updates have replaced the original, since that is the address
   * which everybody knows, and which leads to the newest code.
   */
  readonly meaningOf: (item: ItemName) => Owned;
}

function otherUpdate({ id, comparison, replacement }: LevelInput, found: string): RefusedError {
  const { path } = comparison.post.unit.object;
  return new RefusedError(
    'refused',
    `${path}: ${found}, expected what ${id} ${replacement === undefined ? 'leaves as it was' : 'has in its file'}`,
    {
      hint: `was ${id} made from this source, configuration and version of ksplice, and on top of the same updates?`,
      details: { unit: path, update: id },
    },
  );
}

function levelOf(input: LevelInput): Level {
  const { id, comparison, change, replacement } = input;
  if (replacement === undefined) {
    if (needsReplacement(change)) throw otherUpdate(input, 'its patch changes code');
    return { id, comparison, replacement: undefined };
  }
  const made = extractReplacement(comparison, change);
  if (Buffer.compare(writeObject(made.object), replacement) !== 0) {
    throw otherUpdate(input, 'its patch gives other replacement code');
  }
  return { id, comparison, replacement: made };
}

function itemIn({ comparison }: Level, isIt: (item: UnitItem) => boolean): UnitItem | undefined {
  return comparison.post.unit.items.find(isIt);
}

/** Follows an item down to the level that brought it. `isBrought`: whether that is this one. */
function follow(
  levels: readonly Level[],
  found: UnitItem | undefined,
  name: string,
  isBrought: (level: Level, item: UnitItem) => boolean,
): Owned {
  let item = found;
  for (const level of levels.toReversed()) {
    if (item === undefined) break;
    if (isBrought(level, item)) return { owner: level.id, name: item.name };
    const partner = level.comparison.correlation.preOf.get(item);
    const next = levels[levels.indexOf(level) - 1];
    if (partner === undefined || next === undefined) return { owner: undefined, name: partner?.name ?? name };
    // Before this update the source was what the one below had made of it: the same object file.
    item = itemIn(next, (each) => each.symbol === partner.symbol && each.name === partner.name);
  }
  throw new RefusedError('refused', `${name} is not in the source that the updates below have made`);
}

/** `inputs`: from the lowest up, at least one. Throws RefusedError if one is not what its file holds. */
export function codeBelow(inputs: readonly LevelInput[]): CodeBelow {
  const levels = inputs.map(levelOf);
  const top = levels.at(-1);
  if (top === undefined) throw new RangeError('no update below');
  return {
    codeOf: (name) =>
      follow(
        levels,
        itemIn(top, (item) => item.kind === 'function' && item.name === name),
        name,
        ({ replacement }, item) => replacement?.functions.some((each) => each.name === item.name) === true,
      ),
    meaningOf: ({ name, sectionName, offset }) =>
      follow(
        levels,
        itemIn(
          top,
          (item) => item.name === name && item.section.name === sectionName && item.entry === offset,
        ),
        name,
        ({ replacement, comparison }, item) =>
          item.kind === 'object'
            ? replacement?.data.some((each) => each.name === item.name) === true
            : !comparison.correlation.preOf.has(item),
      ),
  };
}
