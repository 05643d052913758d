/** One unit of an update, taken apart for people. */

import { hex } from '../../diagnostics/hex.ts';
import { coldParent } from '../../diff/base-name.ts';
import { readUnit } from '../../diff/read-unit.ts';
import { resolveTarget } from '../../diff/target.ts';
import { referencesOf, type Unit, type UnitItem } from '../../diff/unit.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE } from '../../elf/constants.ts';
import type { ObjectFile } from '../../elf/model.ts';
import type { UnitCheck } from '../../link/check-update.ts';
import type { MatchedUnit } from '../../link/matched-unit.ts';
import type { UnitChanges } from '../../update/changes.ts';
import type { ManifestFunction, ManifestReference } from '../../update/manifest.ts';
import type { UpdateUnit } from '../../update/update.ts';
import type { Decoder } from '../../x86/decoder.ts';
import { compareCode } from './compare-code.ts';
import { disassemble } from './disassemble.ts';
import type { InspectedCode, InspectedFunction, InspectedUnit, NewFunction } from './inspection.ts';
import { readRunCode } from './run-code.ts';
import { linesOfObject, linesOfRecord, type SourceLines } from './source-lines.ts';

/** What is known of a unit beside its entry in the manifest. */
export interface UnitParts {
  readonly unit: UpdateUnit;
  readonly pre: ObjectFile;
  readonly replacement: ObjectFile;
  /** Replacement objects of updates below, by their IDs: the old code of functions that these own. */
  readonly below: ReadonlyMap<string, ObjectFile>;
  readonly changes: UnitChanges | undefined;
  readonly check: UnitCheck | undefined;
  readonly match: MatchedUnit | undefined;
  /** Whether what it was matched with runs. */
  readonly isRunning: boolean;
  /** Names that another unit of the update brings, and that unit. */
  readonly broughtBy: ReadonlyMap<string, string>;
}

interface Side {
  readonly unit: Unit;
  readonly lines: SourceLines;
  /** Functions by name, other names of one too. */
  readonly functions: ReadonlyMap<string, UnitItem>;
}

function readSide(object: ObjectFile, lines: SourceLines): Side {
  const unit = readUnit(object);
  const functions = new Map<string, UnitItem>();
  for (const item of unit.items) {
    if (item.kind !== 'function') continue;
    for (const name of [item.name, ...item.aliases]) if (!functions.has(name)) functions.set(name, item);
  }
  return { unit, lines, functions };
}

/** A function and its cold parts. */
function partsOf({ functions }: Side, name: string): readonly UnitItem[] {
  const whole = functions.get(name);
  const cold = [...new Set(functions.values())].filter((item) => coldParent(item.name) === name);
  return whole === undefined ? cold : [whole, ...cold];
}

const sizeOf = (parts: readonly UnitItem[]): number => parts.reduce((sum, { size }) => sum + size, 0);

const isCold = (item: UnitItem): boolean => coldParent(item.name) !== undefined;

/** The hot parts beside each other, then the cold ones. */
function compareParts(
  pre: Side,
  before: readonly UnitItem[],
  post: Side,
  after: readonly UnitItem[],
  decoder: Decoder,
): readonly InspectedCode[] {
  return [false, true].flatMap((cold) => {
    const left = before.filter((item) => isCold(item) === cold);
    const right = after.filter((item) => isCold(item) === cold);
    return Array.from({ length: Math.max(left.length, right.length) }, (_, index): InspectedCode => {
      const [old, fresh] = [left[index], right[index]];
      const rows = compareCode(
        old === undefined ? [] : disassemble(pre.unit, old, decoder, pre.lines),
        fresh === undefined ? [] : disassemble(post.unit, fresh, decoder, post.lines),
      );
      return { name: (fresh ?? old)?.name ?? '', rows };
    });
  });
}

function inspectFunction(
  parts: UnitParts,
  pre: Side,
  post: Side,
  one: ManifestFunction,
  decoder: Decoder,
): InspectedFunction {
  const [before, after] = [partsOf(pre, one.preName), partsOf(post, one.name)];
  const found = parts.changes?.functions.find(({ name }) => name === one.name);
  const [old] = before;
  const { isRunning } = parts;
  const match = one.owner === undefined ? parts.match?.match : parts.match?.below.get(one.owner);
  const run =
    match === undefined || old === undefined
      ? undefined
      : readRunCode(match, old, one.site, isRunning, decoder);
  return {
    name: one.preName,
    owner: one.owner ?? null,
    sizes: { pre: sizeOf(before), post: sizeOf(after) },
    site: one.site,
    needsLivepatch: one.needsLivepatch,
    found: found === undefined ? null : { why: found.why, code: found.code },
    code: compareParts(pre, before, post, after, decoder),
    run: run ?? null,
  };
}

/** How a symbol is found, as far as the file alone tells. */
function howFound(reference: ManifestReference, broughtBy: ReadonlyMap<string, string>): string {
  const { symbol, scope, pre, weak, owner } = reference;
  if (owner !== undefined) return `brought by ${owner}: where its code is matched`;
  const unit = broughtBy.get(symbol);
  if (unit !== undefined) return `new in ${unit}`;
  const place = pre === null ? '' : `${pre.section}${pre.offset === 0 ? '' : `+${hex(pre.offset)}`}`;
  if (scope === 'unit') return `a static of this unit, ${place}: where the unit is matched`;
  if (pre !== null) return `of this unit, ${place}: where the unit is matched`;
  const optional = weak ? '; need not be there' : '';
  return `where the matched code refers to it, else by its name, which then must be the only one${optional}`;
}

/** Who names each undefined symbol. */
function usersOf(unit: Unit): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, Set<string>>();
  for (const item of unit.items) {
    for (const reference of referencesOf(unit, item)) {
      const target = resolveTarget(unit, reference);
      if (target.kind !== 'external') continue;
      users.set(target.name, (users.get(target.name) ?? new Set<string>()).add(item.name));
    }
  }
  return new Map([...users].map(([name, set]) => [name, [...set]]));
}

function memoryOf(object: ObjectFile): InspectedUnit['memory'] {
  const memory = { text: 0, readOnly: 0, writable: 0 };
  for (const { flags, size } of object.sections) {
    if ((flags & SHF_ALLOC) === 0) continue;
    if ((flags & SHF_EXECINSTR) !== 0) memory.text += size;
    else if ((flags & SHF_WRITE) !== 0) memory.writable += size;
    else memory.readOnly += size;
  }
  return memory;
}

export function inspectUnit(parts: UnitParts, decoder: Decoder): InspectedUnit {
  const { unit, changes, check } = parts;
  const pre = readSide(parts.pre, linesOfObject(parts.pre));
  const post = readSide(parts.replacement, changes === undefined ? () => undefined : linesOfRecord(changes));
  const sideOf = (owner: string | undefined): Side => {
    const object = owner === undefined ? undefined : parts.below.get(owner);
    return object === undefined ? pre : readSide(object, () => undefined);
  };
  const users = usersOf(post.unit);
  const nothing: Side = { ...post, functions: new Map() };
  return {
    path: unit.path,
    source: unit.source,
    target: unit.target,
    sizes: { pre: unit.pre.length, replacement: unit.replacement.length },
    memory: memoryOf(parts.replacement),
    functions: unit.functions.map((one) => inspectFunction(parts, sideOf(one.owner), post, one, decoder)),
    newFunctions: unit.newFunctions.map((name): NewFunction => {
      const after = partsOf(post, name);
      return { name, size: sizeOf(after), code: compareParts(nothing, [], post, after, decoder) };
    }),
    hooks: unit.hooks,
    references: unit.references.map((reference, index) => ({
      ...reference,
      usedBy: users.get(reference.symbol) ?? [],
      how: check?.symbols[index]?.how ?? howFound(reference, parts.broughtBy),
    })),
    escapes: unit.escapes,
    changes:
      changes === undefined
        ? null
        : {
            patched: changes.patched,
            newData: changes.newData,
            copiedData: changes.copiedData,
            removedFunctions: changes.removedFunctions,
            removedData: changes.removedData,
            unchanged: changes.unchanged,
          },
  };
}
