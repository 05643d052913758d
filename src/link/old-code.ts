/**
 * The old code of a function that is replaced: its body, its cold parts, and in assembly the code around it that no
 * function has, as they are in memory.
 */
import { BusyError, RefusedError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import { STT_FUNC } from '../elf/constants.ts';
import type { ElfSymbol } from '../elf/model.ts';
import { addressAt } from '../kernel/address.ts';
import type { UnitMatch } from '../match/match-unit.ts';
import { fillingLength } from '../x86/nops.ts';
import type { OldRange } from './update-tables.ts';

/** What is said of a function at whose start no jump can be written; whether livepatch can have it is found out later. */
export const NEEDS_LIVEPATCH = 'only the livepatch engine can replace this function';

/** Bytes [start, end) of a section. */
interface Part {
  readonly place: ElfSymbol['place'];
  readonly start: number;
  readonly end: number;
}

function bodyOf({ place, value, size }: ElfSymbol): Part {
  return { place, start: Number(value), end: Number(value) + size };
}

function rangeOf(match: UnitMatch, { place, start, end }: Part, hasEntry: boolean): OldRange | undefined {
  if (typeof place !== 'number') return undefined;
  const text = match.text.get(place);
  if (text === undefined) return undefined;
  const from = text.layout.toRun(start);
  const to = text.layout.toRun(end);
  return {
    start: addressAt(text.base, from),
    hasEntry,
    body: text.run.subarray(from, to),
    mask: text.mask.subarray(from, to),
  };
}

function isFilling(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; ) {
    const length = fillingLength(bytes, at);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

/**
 * What moves with a function of assembly, and lies behind its end, or before its start if it is the first (see
 * codeSlices() in diff/). Where it ends is not asked, which would take a decoder: filling behind it does no harm.
 */
function codeAround({ object }: UnitMatch, main: ElfSymbol): readonly Part[] {
  const section = typeof main.place === 'number' ? object.sections[main.place] : undefined;
  if (section === undefined) return [];
  const starts = object.symbols
    .filter(({ type, place }) => type === STT_FUNC && place === main.place)
    .map(({ value }) => Number(value));
  const { start, end } = bodyOf(main);
  const next = Math.min(...starts.filter((each) => each > start), section.size);
  const isFirst = starts.every((each) => each >= start);
  return [
    { place: main.place, start: isFirst ? 0 : start, end: start },
    { place: main.place, start: Math.min(end, next), end: next },
  ].filter((part) => part.start < part.end && !isFilling(section.data.subarray(part.start, part.end)));
}

/** A function's own code first, then its cold parts (`NAME.cold`, and numbered ones) and what lies around it. */
export function oldRanges(match: UnitMatch, name: string): readonly OldRange[] {
  const functions = match.object.symbols.filter((symbol) => symbol.type === STT_FUNC);
  const mains = functions.filter((symbol) => symbol.name === name);
  const [main] = mains;
  const first = main === undefined ? undefined : rangeOf(match, bodyOf(main), true);
  if (mains.length !== 1 || main === undefined || first === undefined) {
    throw new RefusedError(
      'refused',
      `${match.object.path}: ${mains.length} functions ${name} that could be replaced, expected one`,
    );
  }
  const cold = functions
    .filter((symbol) => symbol.name === `${name}.cold` || symbol.name.startsWith(`${name}.cold.`))
    .map(bodyOf);
  const others = [...cold, ...codeAround(match, main)]
    .map((part) => rangeOf(match, part, false))
    .filter((range) => range !== undefined);
  return [first, ...others];
}

/**
 * Nobody else may have written to a function that is replaced. A kprobe in its body would never fire again, and nobody
 * would notice; another update's jump would be lost.
 */
export function refusePatched(match: UnitMatch, name: string, ranges: readonly OldRange[]): void {
  for (const { at, size, kind, owner } of match.patches) {
    const hit = ranges.some(
      ({ start, body }) => at < start + BigInt(body.length) && start < at + BigInt(size),
    );
    if (!hit) continue;
    const message = `${match.object.path}: ${owner} has changed ${name}, which is to be replaced`;
    if (kind === 'update') {
      throw new BusyError('module_busy', message, {
        hint: 'undo that update first (ksplice undo), or make this one on top of it (ksplice create --on)',
      });
    }
    const what = kind === 'livepatch' ? 'disable the livepatch' : 'remove the probe';
    throw new RefusedError('refused', message, { hint: `${what}, then apply the update again` });
  }
}

/**
 * The first bytes of a function must be laid out in memory as in the unit, as far as the jump goes: where it may be
 * put, and which instructions it covers, was found in the unit.
 */
export function checkLayout(match: UnitMatch, name: string, size: number): void {
  const symbol = match.object.symbols.find((each) => each.name === name && each.type === STT_FUNC);
  const text = typeof symbol?.place === 'number' ? match.text.get(symbol.place) : undefined;
  if (symbol === undefined || text === undefined) return;
  const from = Number(symbol.value);
  for (let i = 1; i <= size; i += 1) {
    if (text.layout.toRun(from + i) - text.layout.toRun(from) === i) continue;
    throw new RefusedError(
      'refused',
      `${name}: the kernel has other instructions at its start than the unit`,
      {
        hint: 'make the update from source and compiler of this kernel, to be matched strictly',
      },
    );
  }
}

/** The bytes that the jump overwrites must be nobody else's; see hazards in docs/safety.md. */
export function checkSite(name: string, range: OldRange, offset: number, size: number): void {
  const mask = range.mask.subarray(offset, offset + size);
  const taken = mask.findIndex((byte) => byte !== 0xff);
  if (offset + size > range.body.length || taken !== -1) {
    const place = taken === -1 ? 'the function ends' : `the kernel rewrites ${hex(offset + taken)}`;
    throw new RefusedError('refused', `${name}: no room for a jump at ${hex(offset)}: ${place}`, {
      hint: NEEDS_LIVEPATCH,
    });
  }
}
