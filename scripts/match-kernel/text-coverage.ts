/**
 * How much of a kernel's text has been matched, by the kernel's own list of symbols and not by our list of units.
 *
 * The linker puts what has one section name together, in the order of the units. So the units of a directory
 * have, for each section name, one range of addresses (and its library, which is linked last of all, another); every
 * text symbol of kallsyms in these ranges has to lie in a section that was matched, and what is between sections has to
 * be filling. A unit that nobody compiled leaves a hole, which shows. What a directory does not have may be another's:
 * `fs/notify` lies in the middle of `fs`.
 */
import { type Address, toAddress } from '../../src/kernel/address.ts';
import type { KernelSymbol } from '../../src/kernel/kernel.ts';
import { isNopSequence } from '../../src/x86/nops.ts';
import type { Coverage, Hole, MatchedText, UnitResult } from './unit-result.ts';

/** A matched section. */
export interface MatchedRange extends MatchedText {
  readonly path: string;
  readonly group: string;
}

interface Range {
  start: bigint;
  end: bigint;
}

/** INT3, which the kernel's linker script fills with since "x86/vmlinux: Use INT3 instead of NOP for linker fill bytes". */
const FILL = 0xcc;

export function isFill(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === FILL) || isNopSequence(bytes);
}

function inOrder<T extends { readonly start: bigint }>(items: Iterable<T>): readonly T[] {
  return [...items].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
}

/** From the first to the last address of each group's sections of one name; ranges that overlap are one. */
function rangesOf(matched: readonly MatchedRange[]): readonly Range[] {
  const spans = new Map<string, Range>();
  for (const { group, section, start, size } of matched) {
    const end = start + BigInt(size);
    const span = spans.get(`${group}\0${section}`);
    if (span === undefined) {
      spans.set(`${group}\0${section}`, { start, end });
      continue;
    }
    if (start < span.start) span.start = start;
    if (end > span.end) span.end = end;
  }
  const merged: Range[] = [];
  for (const span of inOrder(spans.values())) {
    const last = merged.at(-1);
    if (last === undefined || span.start > last.end) merged.push({ ...span });
    else if (span.end > last.end) last.end = span.end;
  }
  return merged;
}

/** Text symbols of the kernel proper, one for each address, by address. */
function textSymbols(symbols: Iterable<KernelSymbol>): readonly { start: bigint; name: string }[] {
  const byAddress = new Map<bigint, string>();
  for (const { name, address, type, module } of symbols) {
    if (module === undefined && /[tTwW]/.test(type)) byAddress.set(address, name);
  }
  return inOrder([...byAddress].map(([start, name]) => ({ start, name })));
}

/** The first item at or behind an address. */
function firstFrom(items: readonly { readonly start: bigint }[], start: bigint): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items[middle]?.start ?? 0n) >= start) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * `symbols`: all of the kernel proper. `isFilling`: whether so many bytes at an address are what the linker fills with.
 * Sections that are named twice count once.
 */
export function coverageOf(
  symbols: Iterable<KernelSymbol>,
  matched: readonly MatchedRange[],
  isFilling: (start: Address, size: number) => boolean,
): Coverage {
  const functions = textSymbols(symbols);
  const sections = inOrder(matched);
  const within = ({ start, end }: Range): readonly { start: bigint; name: string }[] =>
    functions.slice(firstFrom(functions, start), firstFrom(functions, end));
  const holes: Hole[] = [];
  const total = { functions: 0, bytes: 0, matchedBytes: 0, fillBytes: 0 };
  for (const range of rangesOf(matched)) {
    total.functions += within(range).length;
    total.bytes += Number(range.end - range.start);
    let [until, before] = [range.start, ''];
    for (const section of sections.slice(firstFrom(sections, range.start), firstFrom(sections, range.end))) {
      const end = section.start + BigInt(section.size);
      if (section.start > until) {
        const [gap, size] = [{ start: until, end: section.start }, Number(section.start - until)];
        const lost = within(gap);
        const reason = `between ${before} and ${section.path}`;
        if (lost.length > 0) holes.push(...lost.map((each) => ({ ...each, reason })));
        else if (isFilling(toAddress(until), size)) total.fillBytes += size;
        else holes.push({ name: undefined, start: until, reason });
      }
      if (end <= until) continue;
      total.matchedBytes += Number(end - (section.start > until ? section.start : until));
      [until, before] = [end, section.path];
    }
  }
  const lost = holes.filter(({ name }) => name !== undefined).length;
  return { ...total, matched: total.functions - lost, holes };
}

/** Says of each hole which unit has such a function, if one of those that were compiled has. */
export function addReasons(
  holes: readonly Hole[],
  units: readonly Pick<UnitResult, 'path' | 'outcome' | 'unplaced'>[],
): Hole[] {
  const owners = new Map(units.flatMap((unit) => unit.unplaced.map((name) => [name, unit] as const)));
  return holes.map((hole) => {
    const owner = hole.name === undefined ? undefined : owners.get(hole.name);
    if (owner === undefined) return { ...hole, reason: `${hole.reason}: of no unit that was compiled` };
    const why =
      owner.outcome === 'match' ? 'cannot be told from its copies' : 'of a unit that does not match';
    return { ...hole, reason: `${owner.path}: ${why}` };
  });
}
