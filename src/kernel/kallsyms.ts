/**
 * /proc/kallsyms: lines of `ffffffff81000000 T _text`, for a module's symbol followed by a tab and
 * `[module]`. Addresses are zero for a reader without the privilege, or for everybody where
 * kptr_restrict is 2.
 *
 * There are about 90,000 lines and we need some dozens: so the text is kept, and scanned once for the
 * names that are asked for; only what is found becomes a record.
 */
import { type Address, toAddress } from './address.ts';
import type { KernelSymbol } from './kernel.ts';

const ADDRESS_DIGITS = 16;
const NAME_COLUMN = ADDRESS_DIGITS + 3;
/** KSYM_NAME_LEN of 6.1. */
const LONGEST_NAME = 512;
const CLOSING_BRACKET = 0x5d;

/** Where the name of the line [start, end) ends. Looks for a tab only where a module's name tells of one. */
function nameEndOf(text: string, start: number, end: number): number {
  if (text.charCodeAt(end - 1) !== CLOSING_BRACKET) return end;
  const tab = text.indexOf('\t', start + NAME_COLUMN);
  return tab === -1 || tab > end ? end : tab;
}

function parseLine(text: string, start: number, end: number): KernelSymbol {
  const nameEnd = nameEndOf(text, start, end);
  return {
    name: text.slice(start + NAME_COLUMN, nameEnd),
    address: toAddress(BigInt(`0x${text.slice(start, start + ADDRESS_DIGITS)}`)),
    type: text.charAt(start + ADDRESS_DIGITS + 1),
    module: nameEnd < end ? text.slice(nameEnd + 2, end - 1) : undefined,
  };
}

function* lineEnds(text: string): Generator<readonly [start: number, end: number]> {
  let start = 0;
  while (start < text.length) {
    const found = text.indexOf('\n', start);
    const end = found === -1 ? text.length : found;
    if (end > start) yield [start, end];
    start = end + 1;
  }
}

/** Every symbol, in the file's order. */
export function* allSymbols(text: string): Generator<KernelSymbol> {
  for (const [start, end] of lineEnds(text)) yield parseLine(text, start, end);
}

/** Whether the kernel hid the addresses from this reader. */
export function areAddressesHidden(text: string): boolean {
  return text.startsWith('0'.repeat(ADDRESS_DIGITS)) && !/^(?!0{16})[0-9a-f]{16} [tT] /m.test(text);
}

/**
 * Which lengths and first letters the wanted names have: a look at two numbers passes over nearly every
 * line without making a string of its name.
 */
function makeFilter(names: ReadonlySet<string>): Uint8Array {
  const filter = new Uint8Array(LONGEST_NAME * 256);
  for (const name of names) filter[name.length * 256 + name.charCodeAt(0)] = 1;
  return filter;
}

/** Every symbol of these names, in the file's order. */
export function findSymbols(
  text: string,
  names: ReadonlySet<string>,
): ReadonlyMap<string, readonly KernelSymbol[]> {
  const found = new Map<string, KernelSymbol[]>();
  const filter = makeFilter(names);
  let start = 0;
  // Written out, not through lineEnds(): this loop runs 90,000 times in every apply.
  while (start < text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const column = start + NAME_COLUMN;
    const nameEnd = nameEndOf(text, start, end);
    if (filter[(nameEnd - column) * 256 + text.charCodeAt(column)] === 1) {
      const name = text.slice(column, nameEnd);
      if (names.has(name)) {
        const list = found.get(name);
        const symbol = parseLine(text, start, end);
        if (list === undefined) found.set(name, [symbol]);
        else list.push(symbol);
      }
    }
    start = end + 1;
  }
  return found;
}

/** The last symbol at or below an address, at most 1 MiB away. */
export function nearestSymbol(text: string, at: Address): KernelSymbol | undefined {
  let best: KernelSymbol | undefined;
  for (const [start, end] of lineEnds(text)) {
    const value = BigInt(`0x${text.slice(start, start + ADDRESS_DIGITS)}`);
    if (value > at || at - value > 0x10_0000n || (best !== undefined && value <= best.address)) continue;
    best = parseLine(text, start, end);
  }
  return best;
}
