import type { ObjectFile } from '../elf/model.ts';
import type { SectionFacts } from '../kernel/tables/classify-section.ts';
import { sourceName } from './base-name.ts';
import { type ItemUse, readUses } from './item-uses.ts';
import { type EntriesByFunction, ownedEntries } from './owned-entries.ts';
import { readUnit } from './read-unit.ts';
import type { Unit, UnitItem } from './unit.ts';

/** Everything that is known about one of the two builds by itself. */
export interface UnitSide {
  readonly unit: Unit;
  readonly entries: EntriesByFunction;
  /** References of each item, in order. */
  readonly uses: ReadonlyMap<UnitItem, readonly ItemUse[]>;
  /** Source functions (clone and cold suffixes off) and objects that refer to each item. */
  readonly users: ReadonlyMap<UnitItem, ReadonlySet<string>>;
}

export function usesOf(side: UnitSide, item: UnitItem): readonly ItemUse[] {
  return side.uses.get(item) ?? [];
}

function usersByItem(uses: ReadonlyMap<UnitItem, readonly ItemUse[]>): Map<UnitItem, Set<string>> {
  const users = new Map<UnitItem, Set<string>>();
  for (const [item, list] of uses) {
    for (const { target } of list) {
      if (target.kind !== 'item' || target.item === item) continue;
      const known = users.get(target.item) ?? new Set<string>();
      users.set(target.item, known.add(sourceName(item.name)));
    }
  }
  return users;
}

/** @throws FormatError if a special section has another layout than expected */
export function readSide(object: ObjectFile, facts?: SectionFacts): UnitSide {
  const unit = readUnit(object, facts);
  const entries = ownedEntries(unit);
  const uses = new Map(unit.items.map((item) => [item, readUses(unit, entries, item)] as const));
  return { unit, entries, uses, users: usersByItem(uses) };
}
