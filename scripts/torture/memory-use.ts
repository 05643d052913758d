/**
 * Memory of the kernel, by what could leak in a cycle: slab, vmalloc (modules, and our aliases of text), per-CPU
 * memory of modules. Pages of processes and files say nothing about us.
 */
import * as v from 'valibot';
import { spreadOf } from '../../bench/statistics.ts';

export const memoryFields = ['SUnreclaim', 'VmallocUsed', 'Percpu'] as const;
export type MemoryField = (typeof memoryFields)[number];

/** kB, as in /proc/meminfo. */
export const memoryUseSchema = v.object({
  SUnreclaim: v.number(),
  VmallocUsed: v.number(),
  Percpu: v.number(),
});
export type MemoryUse = v.InferOutput<typeof memoryUseSchema>;

/** Throws if a field is not there: every kernel since 5.9 has them. */
export function parseMeminfo(text: string): MemoryUse {
  const field = (name: MemoryField): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    if (found === undefined) throw new Error(`/proc/meminfo: no ${name}`);
    return Number(found);
  };
  return { SUnreclaim: field('SUnreclaim'), VmallocUsed: field('VmallocUsed'), Percpu: field('Percpu') };
}

/**
 * Areas of /proc/vmallocinfo that only modules and we make, their sizes in bytes: those in the range of modules, which begins at
 * 0xffffffffc0000000, and what the core maps. A line is `START-END SIZE CALLER+... ...`. Under a steady load their number
 * is exact, where the sum of all areas goes up and down with the stacks of new threads. Addresses are hashed, and no area is
 * found, but for a reader who may see them where kernel.kptr_restrict is 1 (SHOW_ADDRESSES).
 */
export function moduleAreas(text: string): readonly number[] {
  return text
    .split('\n')
    .filter((line) => /^0xffffffff[c-f]|\bksplice_\w+\+0x/.test(line))
    .map((line) => Number(line.split(/\s+/)[1]));
}

/** Shell text that lets root see addresses in /proc/vmallocinfo. */
export const SHOW_ADDRESSES = 'echo 1 >/proc/sys/kernel/kptr_restrict';

export interface FieldVerdict {
  readonly field: MemoryField;
  /** kB: medians, and how far the samples without us lay apart. */
  readonly before: number;
  readonly after: number;
  readonly noise: number;
  readonly isWithinNoise: boolean;
}

/**
 * Compares the same load before the cycles and after them, by medians. The noise is how far the samples lay apart in either,
 * where we did nothing: a leak is what is above it.
 */
export function compareMemory(
  before: readonly MemoryUse[],
  after: readonly MemoryUse[],
): readonly FieldVerdict[] {
  return memoryFields.map((field) => {
    const [first, second] = [before, after].map((samples) =>
      spreadOf(samples.map((sample) => sample[field])),
    );
    if (first === undefined || second === undefined) throw new Error('no samples');
    const noise = Math.max(first.max - first.min, second.max - second.min);
    const isWithinNoise = second.median - first.median <= noise;
    return { field, before: first.median, after: second.median, noise, isWithinNoise };
  });
}
