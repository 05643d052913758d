import type { SectionIndex, SymbolIndex } from '../elf/model.ts';
import type { HookKind } from '../kernel/tables/hooks.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { UnitItem } from './unit.ts';

/** Where a function or object lies in one of the two sectioned objects. */
export interface ItemPart {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly scope: 'global' | 'unit';
  readonly symbol: SymbolIndex;
  readonly section: SectionIndex;
  readonly sectionName: string;
  /** Offset of the symbol in its section, in bytes. */
  readonly offset: number;
  readonly size: number;
}

export interface ReplacedFunction {
  /** Name in pre: what it is called in the running kernel. */
  readonly name: string;
  readonly pre: ItemPart;
  readonly post: ItemPart;
  /** Rarely executed parts (`.cold`), which lie elsewhere in the text but are the same function. */
  readonly preCold: readonly ItemPart[];
  readonly postCold: readonly ItemPart[];
  /** Differences, in words, at least one. */
  readonly why: readonly string[];
}

export interface NewFunction {
  readonly name: string;
  readonly post: ItemPart;
  readonly postCold: readonly ItemPart[];
}

export interface RemovedFunction {
  readonly name: string;
  readonly pre: ItemPart;
}

/** A function that the core calls when the update is applied or undone; one of the new functions. */
export interface Hook {
  readonly kind: HookKind;
  readonly name: string;
}

export interface DataChange {
  readonly name: string;
  readonly pre: ItemPart;
  readonly post: ItemPart;
  readonly why: string;
}

/** What differs between pre and post of one unit. */
export interface UnitChange {
  readonly replaced: readonly ReplacedFunction[];
  readonly newFunctions: readonly NewFunction[];
  /** Those of one kind in the order in which they are called. */
  readonly hooks: readonly Hook[];
  readonly removedFunctions: readonly RemovedFunction[];
  /** Objects of post that pre does not have. */
  readonly newData: readonly ItemPart[];
  /** Objects of pre that post does not have. */
  readonly removedData: readonly ItemPart[];
  /** Constant tables of post that only functions use: copied, and all their users replaced. */
  readonly copiedData: readonly DataChange[];
  /** Existing data that differs: each has an error among the diagnostics. */
  readonly changedData: readonly DataChange[];
  readonly diagnostics: readonly Diagnostic[];
  /** Functions that are the same in both, cold parts not counted. */
  readonly unchanged: number;
}

export function itemPart(item: UnitItem): ItemPart {
  return {
    name: item.name,
    aliases: item.aliases,
    scope: item.scope,
    symbol: item.symbol,
    section: item.section.index,
    sectionName: item.section.name,
    offset: item.entry,
    size: item.size,
  };
}

/** Whether nothing of this unit's would ever run: new functions are reached from replaced ones and from hooks only. */
export function hasNoEffect({ replaced, changedData, hooks }: UnitChange): boolean {
  return [replaced, changedData, hooks].every(({ length }) => length === 0);
}

/** Whether a unit has replacement code: one that only brings a global variable matters to the others. */
export function needsReplacement(change: UnitChange): boolean {
  return !isEmptyChange(change) || change.newData.some(({ scope }) => scope === 'global');
}

/** Whether the update would have nothing to do for this unit; there may be diagnostics all the same. */
export function isEmptyChange(change: UnitChange): boolean {
  const { replaced, newFunctions, changedData, hooks } = change;
  return [replaced, newFunctions, changedData, hooks].every(({ length }) => length === 0);
}
