/**
 * The addresses of the kernel's symbols, whose number and names are known.
 *
 * There are four ways to store them, and two places. Until 6.3 they lie before `kallsyms_num_syms`, since 404bad70fcf7
 * (in 6.4) behind the token index. The ways, of which a kernel does not say which is its own:
 *
 * - CONFIG_KALLSYMS_BASE_RELATIVE with CONFIG_KALLSYMS_ABSOLUTE_PERCPU, x86-64 with SMP until 01157ddc58dc (in
 *   6.15): 32-bit offsets, then the base, 64 bits, both aligned to 8. An offset from 0 on is itself the value, since
 *   the per-CPU section is linked at 0; a negative one stands for base - 1 - offset.
 * - CONFIG_KALLSYMS_BASE_RELATIVE alone: the offsets are unsigned and are added to the base. No kernel image is
 *   2 GiB long, so an offset with the highest bit set means the first way.
 * - Since a081b5789255 (in 7.0): no base; each offset is the distance from itself to the symbol.
 * - None of these options: 64-bit addresses.
 *
 * What is read must be in order, since the tables are sorted by address, and the lowest address must be one in the
 * kernel: that decides between the ways, and refuses bytes which are none of them.
 */

export interface AddressTables {
  /** The section with the tables, and its address. */
  readonly section: Uint8Array;
  readonly address: bigint;
  /** Offset of `kallsyms_num_syms` in the section. */
  readonly numSyms: number;
  /** Offset behind the token index. */
  readonly tokensEnd: number;
  /** How many symbols there are. */
  readonly count: number;
  /** Whether the kernel has memory at an address. */
  readonly isMapped: (at: bigint) => boolean;
}

const ALIGNMENT = 8;

function align(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

/** The addresses in the names' order; undefined if they are neither before nor behind the names. */
export function readAddresses(tables: AddressTables): BigUint64Array | undefined {
  const { numSyms, tokensEnd, count } = tables;
  const behind = align(tokensEnd);
  return (
    baseRelative(tables, numSyms - ALIGNMENT - align(4 * count)) ??
    baseRelative(tables, behind) ??
    placeRelative(tables, behind) ??
    absolute(tables, numSyms - 8 * count) ??
    absolute(tables, behind)
  );
}

function viewOf({ section }: AddressTables): DataView {
  return new DataView(section.buffer, section.byteOffset, section.byteLength);
}

function baseRelative(tables: AddressTables, start: number): BigUint64Array | undefined {
  const { count, isMapped } = tables;
  const view = viewOf(tables);
  const baseAt = start + align(4 * count);
  if (start < 0 || baseAt + 8 > view.byteLength) return undefined;
  const base = view.getBigUint64(baseAt, true);
  if (!isMapped(base)) return undefined;
  let hasPerCpu = false;
  for (let i = 0; i < count && !hasPerCpu; i++) hasPerCpu = view.getInt32(start + 4 * i, true) < 0;
  return inOrder(count, (i) => {
    const offset = view.getInt32(start + 4 * i, true);
    if (!hasPerCpu) return base + BigInt(offset);
    return offset < 0 ? base + BigInt(-1 - offset) : BigInt(offset);
  });
}

function placeRelative(tables: AddressTables, start: number): BigUint64Array | undefined {
  const { count, address, isMapped } = tables;
  const view = viewOf(tables);
  if (start + 4 * count > view.byteLength) return undefined;
  const symbol = (i: number): bigint => {
    const place = start + 4 * i;
    return address + BigInt(place + view.getInt32(place, true));
  };
  return isMapped(symbol(0)) ? inOrder(count, symbol) : undefined;
}

function absolute(tables: AddressTables, start: number): BigUint64Array | undefined {
  const { count, isMapped } = tables;
  const view = viewOf(tables);
  if (start < 0 || start + 8 * count > view.byteLength) return undefined;
  const addresses = inOrder(count, (i) => view.getBigUint64(start + 8 * i, true));
  // Below the upper half of the address space are per-CPU offsets.
  const first = addresses?.find((each) => each >> 63n === 1n);
  return first !== undefined && isMapped(first) ? addresses : undefined;
}

/** The addresses that `read` gives, if none is lower than the one before it, and all are addresses. */
function inOrder(count: number, read: (index: number) => bigint): BigUint64Array | undefined {
  const addresses = new BigUint64Array(count);
  let last = 0n;
  for (let i = 0; i < count; i++) {
    const address = read(i);
    if (address < last || address >> 64n !== 0n) return undefined;
    addresses[i] = address;
    last = address;
  }
  return addresses;
}
