/**
 * Where the offsets of a unit's section lie in the kernel's memory.
 *
 * Code that was compiled and assembled the same way lies there byte for byte, and an offset is an offset. Where
 * the kernel has shorter jumps or other padding, each instruction has an offset of its own on either side.
 */
export interface CodeLayout {
  /** Offset in memory, from the section's base, of an offset in the unit's section. */
  readonly toRun: (offset: number) => number;
  /** The other way round; undefined for the inside of what is not the same on both sides. */
  readonly toUnit: (offset: number) => number | undefined;
}

/** Byte for byte. */
export const sameLayout: CodeLayout = { toRun: (offset) => offset, toUnit: (offset) => offset };
