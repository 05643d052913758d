/**
 * The old code as it will be in memory, seen in a kernel at rest: what is certain of it, whatever a machine chooses.
 *
 * The module compares the old code when it is loaded. At rest the bytes are those of the image; a machine that boots rewrites
 * the places which the unit's tables name, KASLR adds to absolute addresses (arch/x86/tools/relocs.c), and a module lies
 * at another distance from the kernel. These bytes are not compared then. Distances within the kernel, and within one module,
 * are the same everywhere, and are.
 */
import { R_X86_64_PC32, R_X86_64_PLT32 } from '../elf/constants.ts';
import type { Relocation } from '../elf/model.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';
import type { MatchedText, UnitMatch } from '../match/match-unit.ts';
import { fieldBytes } from './reach.ts';

/** Addresses [start, end) that lie at the same distance from each other on every machine. */
export interface FixedRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** Whether a relocated field is the distance to something in the range. */
function isFixed({ base, run }: MatchedText, { type }: Relocation, at: number, range: FixedRange): boolean {
  if (type !== R_X86_64_PC32 && type !== R_X86_64_PLT32) return false;
  const distance = new DataView(run.buffer, run.byteOffset).getInt32(at, true);
  // Near enough to tell what it leads to: up to some bytes of the instruction may follow the field.
  const target = BigInt.asUintN(64, base + BigInt(at + 4 + distance));
  return target >= range.start && target < range.end;
}

/** The match, with what may differ in memory masked. */
export function maskForRest(match: UnitMatch, range: FixedRange): UnitMatch {
  const places = rewrittenPlaces(match.object);
  const text = new Map(
    [...match.text].map(([index, matched]) => {
      const mask = Uint8Array.from(matched.mask);
      const { toRun } = matched.layout;
      for (const { section, offset, length } of places) {
        if (section === index) mask.fill(0, toRun(offset), toRun(offset + length));
      }
      for (const relocation of match.object.sections[index]?.relocations ?? []) {
        const { offset, type } = relocation;
        const [from, to] = [toRun(offset), toRun(offset + fieldBytes(type))];
        // A field that was shortened with its jump is of no size that it could be read by.
        const isWhole = to - from === fieldBytes(type);
        if (!isWhole || !isFixed(matched, relocation, from, range)) mask.fill(0, from, to);
      }
      return [index, { ...matched, mask }];
    }),
  );
  return { ...match, text };
}
