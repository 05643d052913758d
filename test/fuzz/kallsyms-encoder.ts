/**
 * Kallsyms tables for tests, in every form that a kernel build has written them (scripts/kallsyms.c).
 *
 * An encoder of its own, so that the reader is not tested against its own idea of the format. The compression is
 * the build's in kind, not in detail: the most frequent pair of codes gets the highest free code, a few times.
 */

export interface TableSymbol {
  readonly name: string;
  readonly type: string;
  readonly address: bigint;
}

export interface TableForm {
  /** `before` the names until 6.3, `behind` the tokens since 6.4. */
  readonly place: 'before' | 'behind';
  readonly addressing: 'per-cpu' | 'base' | 'place' | 'absolute';
  /** `kallsyms_seqs_of_names`: from 6.2 on. */
  readonly seqs: boolean;
}

export interface EncodedTables {
  readonly bytes: Uint8Array;
  /** Offset in `bytes` of each table. */
  readonly at: Readonly<Record<'numSyms' | 'names' | 'markers' | 'tokens' | 'index' | 'addresses', number>>;
}

const DIGITS = '0123456789';
const PAIRS = 48;

interface Compressed {
  /** The text of each code. */
  readonly tokens: readonly string[];
  readonly names: readonly (readonly number[])[];
}

function compress(symbols: readonly TableSymbol[]): Compressed {
  const tokens = Array.from({ length: 256 }, () => '');
  const names = symbols.map(({ type, name }) => [...Buffer.from(type + name, 'latin1')]);
  const own = new Set([...names.flat(), ...Buffer.from(DIGITS)]);
  for (const code of own) tokens[code] = String.fromCharCode(code);
  let rounds = 0;
  for (let code = 255; code > 0 && rounds < PAIRS; code--) {
    if (own.has(code)) continue;
    rounds += 1;
    const best = bestPair(names);
    if (best === undefined) break;
    tokens[code] = (tokens[best >> 8] ?? '') + (tokens[best & 0xff] ?? '');
    for (const name of names) replacePair(name, best, code);
  }
  return { tokens, names };
}

function bestPair(names: readonly (readonly number[])[]): number | undefined {
  const counts = new Map<number, number>();
  for (const name of names) {
    for (let i = 1; i < name.length; i++) {
      const pair = ((name[i - 1] ?? 0) << 8) | (name[i] ?? 0);
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
  }
  let best: readonly [number, number] | undefined;
  for (const entry of counts) if (best === undefined || entry[1] > best[1]) best = entry;
  return best !== undefined && best[1] > 1 ? best[0] : undefined;
}

function replacePair(name: number[], pair: number, code: number): void {
  for (let i = 1; i < name.length; i++) {
    if ((((name[i - 1] ?? 0) << 8) | (name[i] ?? 0)) === pair) name.splice(i - 1, 2, code);
  }
}

/** A growing table with the build's alignment. */
class Writer {
  readonly bytes: number[] = [];

  align(): number {
    while (this.bytes.length % 8 !== 0) this.bytes.push(0);
    return this.bytes.length;
  }

  put(value: bigint | number, size: number): void {
    const field = Buffer.alloc(8);
    field.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
    this.bytes.push(...field.subarray(0, size));
  }
}

/** The tables of symbols in the order of their addresses; `address` is that of the first byte. */
export function encodeKallsyms(
  symbols: readonly TableSymbol[],
  form: TableForm,
  address: bigint,
): EncodedTables {
  const { tokens, names } = compress(symbols);
  const writer = new Writer();
  const at = { numSyms: 0, names: 0, markers: 0, tokens: 0, index: 0, addresses: 0 };
  if (form.place === 'before') at.addresses = putAddresses(writer, symbols, form, address);

  at.numSyms = writer.align();
  writer.put(symbols.length, 4);
  at.names = writer.align();
  const markers: number[] = [];
  names.forEach((codes, i) => {
    if (i % 256 === 0) markers.push(writer.bytes.length - at.names);
    if (codes.length > 0x7f) writer.bytes.push((codes.length & 0x7f) | 0x80, codes.length >> 7);
    else writer.bytes.push(codes.length);
    writer.bytes.push(...codes);
  });
  at.markers = writer.align();
  for (const marker of markers) writer.put(marker, 4);
  if (form.seqs && form.place === 'before') putSeqs(writer, symbols);

  at.tokens = writer.align();
  const offsets = tokens.map((token) => {
    const offset = writer.bytes.length - at.tokens;
    writer.bytes.push(...Buffer.from(token, 'latin1'), 0);
    return offset;
  });
  at.index = writer.align();
  for (const offset of offsets) writer.put(offset, 2);

  if (form.place === 'behind') {
    at.addresses = putAddresses(writer, symbols, form, address);
    if (form.seqs) putSeqs(writer, symbols);
  }
  writer.align();
  return { bytes: Uint8Array.from(writer.bytes), at };
}

function putAddresses(
  writer: Writer,
  symbols: readonly TableSymbol[],
  form: TableForm,
  address: bigint,
): number {
  const start = writer.align();
  const isPerCpu = (symbol: TableSymbol): boolean =>
    form.addressing === 'per-cpu' && symbol.address < 1n << 31n;
  const base = symbols.find((symbol) => !isPerCpu(symbol))?.address ?? 0n;
  for (const symbol of symbols) {
    if (form.addressing === 'absolute') writer.put(symbol.address, 8);
    else if (form.addressing === 'place') {
      writer.put(symbol.address - address - BigInt(writer.bytes.length), 4);
    } else if (form.addressing === 'base') writer.put(symbol.address - base, 4);
    else writer.put(isPerCpu(symbol) ? symbol.address : base - symbol.address - 1n, 4);
  }
  if (form.addressing === 'per-cpu' || form.addressing === 'base') {
    writer.align();
    writer.put(base, 8);
  }
  return start;
}

function putSeqs(writer: Writer, symbols: readonly TableSymbol[]): void {
  writer.align();
  const order = symbols.map((_, i) => i);
  const name = (i: number): string => symbols[i]?.name ?? '';
  order.sort((a, b) => (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : a - b));
  for (const seq of order) writer.bytes.push((seq >> 16) & 0xff, (seq >> 8) & 0xff, seq & 0xff);
}
