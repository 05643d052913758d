/**
 * The memory of a kernel that does not run.
 *
 * It is what the boot code leaves when it jumps to the kernel: the segments as they are in the file, and zero
 * where a segment has more memory than bytes. Zero is not made up to keep a reader going: `.bss` is cleared at boot
 * (`clear_bss()`), so these are the values that the kernel starts with, and a static key or a pointer in
 * there reads as a kernel without anything switched on has it. Code and read-only data are never in `.bss`, so a wrong
 * address that leads there is a mismatch all the same. Between regions there is no memory, and reading it is an error.
 */
import { InternalError, MatchError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import type { Address } from '../address.ts';

export interface Region {
  readonly address: Address;
  readonly size: number;
  /** The first bytes of the region; the others are zero. */
  readonly data: Uint8Array;
}

interface Span extends Region {
  readonly end: bigint;
}

/** Disjoint regions of memory. */
export class Memory {
  /** Sorted by address. */
  #spans: readonly Span[] = [];

  /** `region` must overlap none that is there. */
  add(region: Region): void {
    const end = region.address + BigInt(region.size);
    const other = this.#spans.find((each) => each.address < end && region.address < each.end);
    if (other !== undefined) {
      throw new InternalError('unexpected', `memory at ${hex(region.address)} is there twice`);
    }
    this.#spans = [...this.#spans, { ...region, end }].toSorted((a, b) => (a.address < b.address ? -1 : 1));
  }

  /** Where a region at 0 ends: per-CPU offsets up to there are taken; undefined without one. */
  get endOfFirst(): bigint | undefined {
    const [first] = this.#spans;
    return first?.address === 0n ? first.end : undefined;
  }

  /** Where the last region ends. */
  get end(): bigint {
    return this.#spans.at(-1)?.end ?? 0n;
  }

  isMapped(at: bigint): boolean {
    return this.#find(at) !== undefined;
  }

  /** A copy of `size` bytes at `at`; MatchError no_match where they are not all in one region. */
  read(at: Address, size: number): Uint8Array {
    const span = this.#find(at);
    if (span === undefined || at + BigInt(size) > span.end) {
      throw new MatchError('no_match', `${hex(at)}: no kernel memory of ${hex(size)} bytes there`);
    }
    const start = Number(at - span.address);
    if (start + size <= span.data.length) return span.data.slice(start, start + size);
    const bytes = new Uint8Array(size);
    bytes.set(span.data.subarray(start, start + size));
    return bytes;
  }

  /** The text that starts at `at` and ends with a NUL, at most `limit` bytes; undefined if there is none. */
  readText(at: Address, limit: number): string | undefined {
    const span = this.#find(at);
    if (span === undefined) return undefined;
    const start = Number(at - span.address);
    const bytes = span.data.subarray(start, start + limit);
    const end = bytes.indexOf(0);
    return end < 0 ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('latin1');
  }

  #find(at: bigint): Span | undefined {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const span = this.#spans[middle];
      if (span === undefined || at < span.address) high = middle;
      else if (at < span.end) return span;
      else low = middle + 1;
    }
    return undefined;
  }
}
