/**
 * How much of a kernel's text has been matched, by the kernel's own list of symbols and not by our list of units.
 *
 * The linker puts what has one section name together, in the order of the units. So the units of a directory
 * have, for each section name, one range of addresses; every text symbol of kallsyms in these ranges has to lie
 * in a section that was matched. A unit that nobody compiled leaves a hole, which shows.
 */
import type { KernelSymbol } from '../../src/kernel/kernel.ts';

/** A matched section. Addresses; `end` is the first one behind it. */
export interface MatchedRange {
  readonly directory: string;
  readonly section: string;
  readonly start: bigint;
  readonly end: bigint;
}

export interface Coverage {
  /** Text symbols in the ranges, by address: aliases count once. */
  readonly functions: number;
  readonly matched: number;
  /** Bytes of the ranges, and of the matched sections in them. */
  readonly bytes: number;
  readonly matchedBytes: number;
  readonly holes: readonly KernelSymbol[];
}

interface Range {
  start: bigint;
  end: bigint;
  readonly sections: MatchedRange[];
}

function spans(matched: readonly MatchedRange[]): readonly Range[] {
  const ranges = new Map<string, Range>();
  for (const each of matched) {
    const key = `${each.directory}\0${each.section}`;
    const range = ranges.get(key);
    if (range === undefined) ranges.set(key, { start: each.start, end: each.end, sections: [each] });
    else {
      range.start = each.start < range.start ? each.start : range.start;
      range.end = each.end > range.end ? each.end : range.end;
      range.sections.push(each);
    }
  }
  return [...ranges.values()];
}

/** `symbols`: all of the kernel proper. A directory named twice in `matched` counts once. */
export function coverageOf(symbols: Iterable<KernelSymbol>, matched: readonly MatchedRange[]): Coverage {
  const byAddress = new Map<bigint, KernelSymbol>();
  for (const symbol of symbols) {
    if (symbol.module === undefined && /[tTwW]/.test(symbol.type)) byAddress.set(symbol.address, symbol);
  }
  let [functions, found, bytes, matchedBytes] = [0, 0, 0, 0];
  const holes: KernelSymbol[] = [];
  for (const range of spans(matched)) {
    bytes += Number(range.end - range.start);
    for (const { start, end } of range.sections) matchedBytes += Number(end - start);
    for (const [address, symbol] of byAddress) {
      if (address < range.start || address >= range.end) continue;
      functions += 1;
      if (range.sections.some(({ start, end }) => address >= start && address < end)) found += 1;
      else holes.push(symbol);
    }
  }
  return { functions, matched: found, bytes, matchedBytes, holes };
}
