/**
 * Everything that apply would find out about an update before it changes anything: does every unit match, can
 * every symbol be resolved, does the module link. All units are looked at, also after the first that does
 * not match.
 */
import { hex } from '../diagnostics/hex.ts';
import { toAddress } from '../kernel/address.ts';
import type { Kernel, KernelSymbol } from '../kernel/kernel.ts';
import { modeOptions } from '../match/match-mode.ts';
import { addressOf, type MatchOptions } from '../match/match-unit.ts';
import { codeOf, type MismatchCode } from '../match/mismatch.ts';
import { type MismatchReport, reportMismatch } from '../match/mismatch-report.ts';
import { RunTables } from '../match/run-tables.ts';
import { noPatches, type TextPatches } from '../match/text-patch.ts';
import type { Update } from '../update/update.ts';
import { bindCore } from './link-core.ts';
import { linkMatched } from './link-matched.ts';
import type { UnitReference } from './link-update.ts';
import { type MatchedUnit, matchWithBelow } from './matched-unit.ts';
import type { ObjectsOfUnit, UpdateObjects } from './update-objects.ts';

/** Where a symbol is that the replacement code refers to, and how that is known. */
export interface LearntSymbol {
  readonly name: string;
  readonly how: string;
  /** How many symbols of this name the kernel has. */
  readonly namesakes: number;
}

export interface UnitCheck {
  readonly unit: string;
  readonly matches: boolean;
  /** Bytes of text compared. */
  readonly compared: number;
  /** How many of the places that the kernel rewrites have which content. */
  readonly explained: Readonly<Record<string, number>>;
  /** What the kernel chose when it booted, as the code shows. */
  readonly choices: Readonly<Record<string, string>>;
  readonly symbols: readonly LearntSymbol[];
  readonly mismatch: (MismatchReport & { readonly code: MismatchCode }) | undefined;
}

/** An address as the module loader could give; what the update is linked with only has to be in reach. */
const CORE_SOMEWHERE = toAddress(0xffffffffc0000000n);

function howKnown(
  { match, below }: MatchedUnit,
  reference: UnitReference,
  namesakes: readonly KernelSymbol[],
): string {
  const { object, values } = match;
  const { preName, scope, owner, weak } = reference;
  if (owner !== undefined) {
    return below.has(owner)
      ? `in the matched code of ${owner}`
      : `in the module of ${owner}, which is not at rest`;
  }
  if (scope === 'unit') {
    const symbol = object.symbols.find((each) => each.name === preName && typeof each.place === 'number');
    const section = typeof symbol?.place === 'number' ? object.sections[symbol.place] : undefined;
    const address =
      section === undefined || symbol === undefined
        ? undefined
        : addressOf(match, section.index, symbol.value);
    if (symbol === undefined || section === undefined || address === undefined) return 'by its name';
    return `${hex(address)}, ${section.name}+${hex(symbol.value)} of the matched unit`;
  }
  const learnt = values.get(preName);
  if (learnt !== undefined) return `${hex(learnt)}, where the matched code refers to it`;
  const [only] = namesakes;
  if (only === undefined) return weak ? 'not in this kernel, which it need not be' : 'not in this kernel';
  return `${hex(only.address)}, ${namesakes.length === 1 ? 'the only one' : 'the only global one'} of its name`;
}

async function checkUnit(
  unit: ObjectsOfUnit,
  references: readonly UnitReference[],
  on: readonly string[],
  kernel: Kernel,
  options: MatchOptions,
): Promise<{ readonly check: UnitCheck; readonly match: MatchedUnit | undefined }> {
  // What updates below have brought is in no kernel at rest.
  const below = kernel.isRunning ? unit : { ...unit, on: [] };
  const result = matchWithBelow(below, on, kernel, options);
  if ('mismatch' in result) {
    const mismatch = { ...(await reportMismatch(result.mismatch)), code: codeOf(result.mismatch) };
    const nothing = { compared: 0, explained: {}, choices: {}, symbols: [] };
    return { check: { unit: unit.path, matches: false, ...nothing, mismatch }, match: undefined };
  }
  const { match } = result;
  const { reachable } = match.scope;
  const symbols = references.map((reference) => {
    const namesakes = reachable(reference.preName);
    const how = howKnown(result, reference, namesakes);
    return { name: reference.preName, how, namesakes: namesakes.length };
  });
  const check = {
    unit: unit.path,
    matches: true,
    compared: match.compared,
    explained: Object.fromEntries(match.explained),
    choices: Object.fromEntries(match.choices),
    symbols,
    mismatch: undefined,
  };
  return { check, match: result };
}

/** What checking an update shows, and what it was shown by. */
export interface UpdateCheck {
  readonly units: readonly UnitCheck[];
  /** For each unit; undefined for one that does not match. */
  readonly matches: readonly (MatchedUnit | undefined)[];
}

/**
 * Checks an update. A unit that does not match is in the result; throws RefusedError and MatchError for what would stop
 * linking.
 * @param onUnit called before each unit; the first one has number 1
 */
export async function checkUpdate(
  update: Update,
  objects: UpdateObjects,
  kernel: Kernel,
  patches: TextPatches = noPatches,
  onUnit: (path: string, number: number) => void = () => undefined,
): Promise<UpdateCheck> {
  const units = [];
  const mode = await modeOptions(objects.matching);
  const options = { ...mode, tables: new RunTables(kernel), patches };
  for (const [index, unit] of objects.units.entries()) {
    const references = update.units[index]?.references ?? [];
    onUnit(unit.path, index + 1);
    units.push(await checkUnit(unit, references, objects.on, kernel, options));
  }
  const matches = units.flatMap(({ match }) => (match === undefined ? [] : [match]));
  if (matches.length === units.length) bindCore(update.core, kernel);
  const isWhole = kernel.isRunning || objects.on.length === 0;
  if (matches.length === units.length && isWhole) {
    linkMatched(update, objects, matches, kernel, (name) =>
      name.startsWith('ksplice_') ? CORE_SOMEWHERE : undefined,
    );
  }
  return { units: units.map(({ check }) => check), matches: units.map(({ match }) => match) };
}
