/**
 * Reads the kernel's code where a section of a unit may lie, so that it can be compared offset by offset.
 */
import type { Section } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';
import type { RewrittenPlace } from '../kernel/tables/rewritten-place.ts';
import { sameLayout } from './code-layout.ts';
import type { RunCode } from './compare-section.ts';
import type { LiveValues } from './live-values.ts';
import type { TextPatch } from './text-patch.ts';

export interface CodeRequest {
  readonly section: Section;
  readonly base: Address;
  /** Of the section, by offset, outermost first. */
  readonly places: readonly RewrittenPlace[];
  /** What others have written, anywhere. */
  readonly patches: readonly TextPatch[];
}

/** Undefined where there is no memory. */
export type CodeReader = (request: CodeRequest) => RunCode | undefined;

/** Those that lie in [base, base + size), by address. */
export function patchesIn(patches: readonly TextPatch[], base: Address, size: number): readonly TextPatch[] {
  const end = base + BigInt(size);
  return patches
    .filter((patch) => patch.at >= base && patch.at + BigInt(patch.size) <= end)
    .toSorted((a, b) => (a.at < b.at ? -1 : 1));
}

/** As it is: for code that was compiled and assembled as the unit was. */
export function readAsItIs(live: LiveValues): CodeReader {
  return ({ section: { size }, base, patches }) => {
    const bytes = live.readIfMapped(base, size);
    if (bytes === undefined) return undefined;
    return {
      base,
      memory: bytes,
      bytes,
      comparable: size,
      layout: sameLayout,
      patches: patchesIn(patches, base, size),
    };
  };
}
