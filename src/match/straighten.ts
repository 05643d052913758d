/**
 * The tolerant mode's reader: the kernel's code, as it would be if it were laid out as the unit is.
 *
 * The same source, compiled and assembled in another way, becomes the same instructions, but not the same bytes: a jump is
 * short where its target is near, and cold parts and other functions are near in one layout and far in another; padding
 * depends on where code lies; and what one of these shifts changes every distance behind it. So unit and kernel are
 * walked side by side, an instruction at a time. A jump is written anew in the unit's form, to where it goes; padding
 * is replaced by the unit's; distances are counted from where the instruction is in the unit. All else is
 * copied, so that comparing it is left to the strict comparison, byte by byte, and a difference that is no matter of
 * layout stays one. Where the two are no longer alike the walk ends, and nothing behind counts as comparable.
 *
 * A place that the kernel rewrites is as long on both sides (the tables have its length), but for a jump label, which
 * is a jump like any other to the assembler.
 */
import type { Section } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { RewrittenPlace } from '../kernel/tables/rewritten-place.ts';
import type { Decoder } from '../x86/decoder.ts';
import type { Instruction } from '../x86/instruction.ts';
import { nopLength } from '../x86/nops.ts';
import type { CodeLayout } from './code-layout.ts';
import type { RunCode } from './compare-section.ts';
import type { LiveValues } from './live-values.ts';
import { type CodeReader, type CodeRequest, patchesIn } from './read-code.ts';
import { firstAt } from './sorted.ts';
import type { TextPatch } from './text-patch.ts';

/** In the kernel jumps can be longer than in the unit, and padding: at most so much is read of it. */
const MOST_RUN_BYTES = (size: number): number => 2 * size + 64;
const LONG_NOPS: ReadonlyMap<number, readonly number[]> = new Map([
  [2, [0x66, 0x90]],
  [5, [0x0f, 0x1f, 0x44, 0x00, 0x00]],
]);
const SHORT_JMP = 0xeb;
const NEAR_JMP = 0xe9;
/** The assembler aligns code to no more. */
const MOST_ALIGNMENT = 16;

/** Where an instruction begins, in the unit's section and in memory. */
interface Start {
  readonly unit: number;
  readonly run: number;
}

/** The last one that begins at or before an offset of its side. */
function startBefore(starts: readonly Start[], side: 'unit' | 'run', offset: number): Start | undefined {
  return starts[firstAt(starts.length, (i) => (starts[i]?.[side] ?? 0) > offset) - 1];
}

function layoutOf(starts: readonly Start[]): CodeLayout {
  return {
    toRun: (offset) => {
      const start = startBefore(starts, 'unit', offset);
      return start === undefined ? offset : start.run + (offset - start.unit);
    },
    toUnit: (offset) => {
      const start = startBefore(starts, 'run', offset);
      return start?.run === offset ? start.unit : undefined;
    },
  };
}

/** Jumps and calls that the assembler has short and near forms of, by what they do; undefined for all else. */
function branchKind(bytes: Uint8Array): string | undefined {
  const [first = 0, second = 0] = bytes;
  if (first === SHORT_JMP || first === NEAR_JMP) return 'jmp';
  if (first === 0xe8) return 'call';
  if ((first & 0xf0) === 0x70) return `jcc ${first & 15}`;
  if (first === 0x0f && (second & 0xf0) === 0x80) return `jcc ${second & 15}`;
  return undefined;
}

/** A jump to the unit's own code, which is written when it is known where all of it lies. */
interface OwnJump {
  /** Of the displacement, in the unit's section, and its size in bytes. */
  readonly field: number;
  readonly size: number;
  /** Where the instruction ends, which its distance counts from. */
  readonly end: number;
  /** Offset in memory of where it goes. */
  readonly target: number;
}

class Straightening {
  readonly #section: Section;
  readonly #base: Address;
  readonly #decoder: Decoder;
  readonly #memory: Uint8Array;
  readonly #places: readonly RewrittenPlace[];
  readonly #patches: readonly TextPatch[];
  readonly #unit: ReadonlyMap<number, Instruction>;
  readonly #run: ReadonlyMap<number, Instruction>;
  readonly #relocated: ReadonlySet<number>;
  readonly #bytes: Uint8Array;
  readonly #starts: Start[] = [];
  readonly #ownJumps: OwnJump[] = [];
  readonly #movedPatches: TextPatch[] = [];
  #comparable: number;

  constructor(decoder: Decoder, { section, base, places, patches }: CodeRequest, memory: Uint8Array) {
    this.#decoder = decoder;
    this.#section = section;
    this.#base = base;
    this.#memory = memory;
    // A lock prefix is a part of an instruction, which is as long with another one.
    this.#places = places.filter(({ kind }) => kind !== 'smp-lock');
    this.#patches = patchesIn(patches, base, memory.length);
    this.#unit = byOffset(decoder.decodeAll(section.data, 0n));
    this.#run = byOffset(decoder.decodeAll(memory, base));
    this.#relocated = new Set(section.relocations.map(({ offset }) => offset));
    this.#bytes = new Uint8Array(section.size);
    this.#comparable = section.size;
  }

  result(): RunCode {
    this.#walk();
    const layout = layoutOf(this.#starts);
    for (const jump of this.#ownJumps) this.#writeOwnJump(jump, layout);
    return {
      base: this.#base,
      memory: this.#memory,
      bytes: this.#bytes,
      comparable: this.#comparable,
      layout,
      patches: this.#movedPatches,
    };
  }

  #runAt(offset: number): Instruction {
    return this.#run.get(offset) ?? this.#decoder.instructionAt(this.#memory, offset, this.#base);
  }

  #walk(): void {
    let [unit, run] = [0, 0];
    let nextPlace = 0;
    while (unit < this.#section.size) {
      const padding = this.#padding(unit, run, this.#places[nextPlace]?.offset);
      // Where padding begins somebody may jump to, as well as where it ends.
      if (padding.unit + padding.run > 0) this.#starts.push({ unit, run });
      this.#copyUnit(unit, unit + padding.unit);
      unit += padding.unit;
      run += padding.run;
      this.#starts.push({ unit, run });
      if (unit >= this.#section.size) return;
      const place = this.#places[nextPlace];
      const step = place?.offset === unit ? this.#place(place, run) : this.#instruction(unit, run);
      if (step === undefined) {
        this.#comparable = unit;
        this.#bytes.set(this.#memory.subarray(run, run + this.#section.size - unit), unit);
        return;
      }
      unit += step.unit;
      run += step.run;
      while ((this.#places[nextPlace]?.offset ?? unit) < unit) nextPlace += 1;
    }
    this.#starts.push({ unit, run });
  }

  #copyUnit(from: number, to: number): void {
    this.#bytes.set(this.#section.data.subarray(from, to), from);
  }

  /** How much padding there is on both sides, before an instruction or a place: none that is the same on both. */
  #padding(unit: number, run: number, place: number | undefined): Start {
    const same = unit === place ? 0 : nopLength(this.#section.data, unit);
    if (same > 0 && same === nopLength(this.#memory, run)) return { unit: 0, run: 0 };
    let mine = 0;
    while (unit + mine !== place && unit + mine < this.#section.size) {
      const length = nopLength(this.#section.data, unit + mine);
      if (length === 0) break;
      mine += length;
    }
    if (unit + mine === place) return { unit: mine, run: mine === 0 ? 0 : this.#alignment(unit + mine, run) };
    let theirs = 0;
    for (;;) {
      const length = nopLength(this.#memory, run + theirs);
      if (length === 0) return { unit: mine, run: theirs };
      theirs += length;
    }
  }

  /** What a place holds may be no-ops, too: so padding before it goes as far as what it is there for. */
  #alignment(unit: number, run: number): number {
    const alignment = Math.min(unit & -unit, MOST_ALIGNMENT);
    const address = Number(BigInt.asUintN(8, this.#base)) + run;
    return (alignment - (address % alignment)) % alignment;
  }

  /** One instruction, or what somebody has written over some; undefined if the kernel has another one. */
  #instruction(unit: number, run: number): Start | undefined {
    const patch = this.#patches.find(({ at }) => at === addressAt(this.#base, run));
    if (patch?.isLegal(this.#memory.subarray(run, run + patch.size)) === true) {
      return this.#patched(unit, run, patch);
    }
    const [mine, theirs] = [this.#unit.get(unit), this.#runAt(run)];
    if (mine === undefined || mine.flow === 'invalid' || theirs.flow === 'invalid') return undefined;
    const kind = branchKind(mine.bytes);
    const lengths = { unit: mine.length, run: theirs.length };
    if (kind !== undefined && mine.immediate !== undefined && theirs.target !== undefined) {
      if (kind !== branchKind(theirs.bytes)) return undefined;
      this.#copyUnit(unit, unit + mine.length);
      this.#writeTarget(mine.immediate, mine, theirs.target);
      return lengths;
    }
    if (mine.length !== theirs.length) return undefined;
    this.#bytes.set(theirs.bytes, unit);
    if (mine.ipRelative !== undefined && theirs.ipRelative !== undefined && mine.displacement !== undefined) {
      this.#writeTarget(mine.displacement, mine, theirs.ipRelative);
    }
    return lengths;
  }

  #writeTarget(
    field: { readonly offset: number; readonly size: number },
    mine: Instruction,
    target: bigint,
  ): void {
    const at = mine.offset + field.offset;
    const end = mine.offset + mine.length;
    const goes = this.#offsetOf(target);
    if (this.#relocated.has(at)) this.#writeDistance(at, field.size, goes - end);
    else this.#ownJumps.push({ field: at, size: field.size, end, target: goes });
  }

  /** Per-CPU data are reached from code by a distance that wraps. */
  #offsetOf(target: bigint): number {
    return Number(BigInt.asIntN(64, target - this.#base));
  }

  /** A distance that does not fit is none that the unit can have. */
  #writeDistance(field: number, size: number, distance: number): void {
    const view = new DataView(this.#bytes.buffer, field, size);
    if (size === 4 && distance === (distance | 0)) view.setInt32(0, distance, true);
    else if (size === 1 && distance === (distance << 24) >> 24) view.setInt8(0, distance);
    else this.#comparable = Math.min(this.#comparable, field);
  }

  #writeOwnJump({ field, size, end, target }: OwnJump, { toUnit }: CodeLayout): void {
    const goes = toUnit(target);
    if (goes === undefined) this.#comparable = Math.min(this.#comparable, field);
    else this.#writeDistance(field, size, goes - end);
  }

  /** As the unit has it, up to where an instruction of it ends: what was there before cannot be seen. */
  #patched(unit: number, run: number, patch: TextPatch): Start | undefined {
    const length = this.#decoder.boundaryAtOrAfter(this.#section.data, unit, patch.size);
    if (length === undefined) return undefined;
    this.#bytes.set(this.#memory.subarray(run, run + length), unit);
    this.#movedPatches.push({ ...patch, at: addressAt(this.#base, unit) });
    return { unit: length, run: length };
  }

  #place(place: RewrittenPlace, run: number): Start | undefined {
    if (place.kind === 'jump-label') return this.#jumpLabel(place.offset, place.length, run);
    const { offset, length } = place;
    this.#bytes.set(this.#memory.subarray(run, run + length), offset);
    let at = run;
    while (at < run + length) {
      const theirs = this.#runAt(at);
      if (theirs.flow === 'invalid') break;
      const field = theirs.target === undefined ? theirs.displacement : theirs.immediate;
      const target = theirs.target ?? theirs.ipRelative;
      if (target !== undefined && field !== undefined) {
        const isInside =
          target >= addressAt(this.#base, run) && target <= addressAt(this.#base, run + length);
        const end = offset + (at - run) + theirs.length;
        const distance = this.#offsetOf(target) - end;
        if (!isInside) this.#writeDistance(offset + (at - run) + field.offset, field.size, distance);
      }
      at += theirs.length;
    }
    return { unit: length, run: length };
  }

  #jumpLabel(offset: number, length: number, run: number): Start | undefined {
    const theirs = this.#runAt(run);
    const isNop = LONG_NOPS.has(nopLength(this.#memory, run));
    if (isNop) {
      this.#bytes.set(LONG_NOPS.get(length) ?? [], offset);
    } else {
      if (branchKind(theirs.bytes) !== 'jmp' || theirs.target === undefined) return undefined;
      this.#bytes[offset] = length === 2 ? SHORT_JMP : NEAR_JMP;
      const end = offset + length;
      const target = this.#offsetOf(theirs.target);
      const isOwn = target >= 0 && target < this.#memory.length;
      if (isOwn) this.#ownJumps.push({ field: offset + 1, size: length - 1, end, target });
      else this.#writeDistance(offset + 1, length - 1, target - end);
    }
    return { unit: length, run: isNop ? nopLength(this.#memory, run) : theirs.length };
  }
}

function byOffset(instructions: readonly Instruction[]): ReadonlyMap<number, Instruction> {
  return new Map(instructions.map((each) => [each.offset, each]));
}

/** For units each of whose functions has a section of its own. */
export function readStraightened(live: LiveValues, decoder: Decoder): CodeReader {
  return (request) => {
    const { section, base } = request;
    const memory =
      live.readIfMapped(base, MOST_RUN_BYTES(section.size)) ?? live.readIfMapped(base, section.size);
    return memory === undefined ? undefined : new Straightening(decoder, request, memory).result();
  };
}
