/**
 * Which of several equal copies of a section is a unit's: told by the order in which the linker has put units.
 *
 * Small inline functions that the compiler did not inline are in many units, byte for byte. Where code refers to its copy,
 * that tells which one it is. What only initial code calls is referred to by nothing that is left, and no table
 * that stays in memory keeps the order of units. But the order shows in the text itself. vmlinux.lds places `.text` of all
 * files, and then `.text.unlikely` of all files (TEXT_TEXT in include/asm-generic/vmlinux.lds.h), and ld takes the files
 * in the same order for each pattern. So of two units, the one whose `.text` lies first has its `.text.unlikely` first.
 *
 * Whose `.text.unlikely` lies where is known of every function that has a cold part: `foo` is in the one, and `foo.cold`,
 * which `foo` jumps to, is in the other, of one unit. Between two such pairs there are few units, and one of
 * the copies at most.
 *
 * The rule is checked before it is believed: the pairs of the whole kernel must be in order. Where a kernel has
 * been linked in another way, nothing is told, and the copies stay undecided.
 */
import { type Address, addressAt } from '../kernel/address.ts';
import { type Kernel, type KernelSymbol, readIfMapped } from '../kernel/kernel.ts';
import { int32At } from './int32-at.ts';
import { firstAt } from './sorted.ts';

export const MAIN_TEXT = '.text';
/** The section that cold parts are in, and with them what is called at boot only. */
export const UNLIKELY_TEXT = '.text.unlikely';
const COLD = '.cold';
const JMP = 0xe9;
const TWO_BYTES = 0x0f;
/** `jcc` with a distance of 32 bits is 0f 80 to 0f 8f. */
const JCC = 0x80;
/** No function is so long: `foo` may be followed by something that is no symbol. */
const LONGEST_FUNCTION = 0x10000n;

/** A function in `.text`, and its cold part in `.text.unlikely`. */
interface Pair {
  readonly hot: Address;
  readonly cold: Address;
}

/** All pairs of a kernel: ascending by either address. */
export interface LinkOrder {
  readonly pairs: readonly Pair[];
}

/** Whether code that begins at `at` has a jump to `target`. */
function jumpsTo(code: Uint8Array, at: Address, target: Address): boolean {
  for (let end = 5; end <= code.length; end += 1) {
    const isJump =
      code[end - 5] === JMP || (code[end - 6] === TWO_BYTES && ((code[end - 5] ?? 0) & 0xf0) === JCC);
    if (isJump && addressAt(at, end + int32At(code, end - 4)) === target) return true;
  }
  return false;
}

function isText({ type, module }: KernelSymbol): boolean {
  return module === undefined && /[tTwW]/.test(type);
}

/** Every function and cold part of which it is certain that they are of one unit, by address of the cold part. */
function pairsOf(kernel: Kernel): readonly Pair[] {
  const symbols = [...kernel.symbols()].filter(isText).sort((a, b) => (a.address < b.address ? -1 : 1));
  const byName = new Map<string, readonly Address[]>();
  for (const { name, address } of symbols) byName.set(name, [...(byName.get(name) ?? []), address]);
  const endOf = (start: Address): Address => {
    const next = symbols[firstAt(symbols.length, (i) => (symbols[i]?.address ?? 0n) > start)];
    const farthest = addressAt(start, LONGEST_FUNCTION);
    return next === undefined || next.address > farthest ? farthest : next.address;
  };
  return symbols.flatMap(({ name, address: cold }): readonly Pair[] => {
    if (!name.endsWith(COLD)) return [];
    const [hot, second] = byName.get(name.slice(0, -COLD.length)) ?? [];
    // Functions in a section of their own (.sched.text) lie behind both, in an order of their own.
    if (hot === undefined || second !== undefined || hot > cold) return [];
    const code = readIfMapped(kernel, hot, Number(endOf(hot) - hot));
    return code !== undefined && jumpsTo(code, hot, cold) ? [{ hot, cold }] : [];
  });
}

/** Where a unit's `.text` lies. */
export interface MainText {
  readonly base: Address;
  readonly size: number;
}

/** The order of vmlinux's units. Undefined where the kernel does not show one. */
export function readLinkOrder(kernel: Kernel): LinkOrder | undefined {
  const pairs = pairsOf(kernel);
  const isOrdered = pairs.every(({ hot }, i) => i === 0 || (pairs[i - 1]?.hot ?? 0n) < hot);
  return isOrdered && pairs.length > 0 ? { pairs } : undefined;
}

/**
 * The one of several addresses at which the `.text.unlikely` of a unit can lie whose `.text` is known; undefined where
 * there is none, or more than one.
 */
export function placeInLinkOrder(
  { pairs }: LinkOrder,
  candidates: readonly Address[],
  { base, size }: MainText,
): Address | undefined {
  const end = addressAt(base, size);
  const fitting = candidates.filter((at) => {
    const next = firstAt(pairs.length, (i) => (pairs[i]?.cold ?? 0n) >= at);
    const [before, behind] = [pairs[next - 1], pairs[next]];
    return (before === undefined || before.hot < end) && (behind === undefined || behind.hot >= base);
  });
  const [only, second] = fitting;
  return second === undefined ? only : undefined;
}
