/** A compiled unit, compared; with its replacement code if it has some. */
import type { BuiltUnit } from '../build/build-units.ts';
import type { KernelConfig } from '../build/kernel-config.ts';
import { RefusedError } from '../diagnostics/error.ts';
import { diffAssembly } from '../diff/assembly-change.ts';
import type { Comparison } from '../diff/compare-items.ts';
import { compareUnit, diffCompared } from '../diff/diff-unit.ts';
import { extractReplacement } from '../diff/extract-replacement.ts';
import { checkLinkedNames, hasLinkedNames, type SymbolTypes } from '../diff/kernel-names.ts';
import type { Replacement } from '../diff/replacement.ts';
import { needsReplacement, type UnitChange } from '../diff/unit-change.ts';
import { readObject } from '../elf/read-object.ts';
import { ImageKernel } from '../kernel/image/image-kernel.ts';
import type { ComparedUnit } from './create-changes.ts';

export interface DiffedUnit extends ComparedUnit {
  /** Undefined if the update needs nothing of it, or something speaks against it; an error if there can be none. */
  readonly replacement: Replacement | RefusedError | undefined;
}

/** The symbols of a kernel's image, read when somebody asks; undefined where there is no image. */
type ImageNames = () => Promise<SymbolTypes | undefined>;

/** `image` is a vmlinuz. */
function imageNames(image: string | null): ImageNames {
  let opened: Promise<ImageKernel> | undefined;
  return async () => {
    if (image === null) return undefined;
    opened ??= ImageKernel.open(image);
    const kernel = await opened;
    return (name) => kernel.named(name).map(({ type }) => type);
  };
}

/** A unit's two objects, and what debug information and genksyms tell of its types. */
export type UnitObjects = Pick<BuiltUnit, 'path' | 'source' | 'target' | 'pre' | 'post' | 'layouts' | 'crcs'>;

/** Compares a unit's objects as those of one kernel. */
export type CompareObjects = (
  unit: UnitObjects,
) => Promise<{ readonly comparison: Comparison; readonly change: UnitChange }>;

export function comparerFor(config: KernelConfig, image: string | null): CompareObjects {
  const names = imageNames(image);
  return async (unit) => {
    const [pre, post] = [readObject(unit.pre, unit.path), readObject(unit.post, unit.path)];
    const facts = { keepsMeminit: config.get('MEMORY_HOTPLUG') === 'y' || unit.target !== 'vmlinux' };
    const compared = unit.source.endsWith('.S') ? undefined : compareUnit(pre, post, facts);
    const { comparison, change } =
      compared === undefined
        ? diffAssembly(pre, post, facts)
        : { comparison: compared.comparison, change: diffCompared(compared, unit) };
    const isAsked = unit.target === 'vmlinux' && hasLinkedNames(comparison, change);
    const types = isAsked ? await names() : undefined;
    return { comparison, change: types === undefined ? change : checkLinkedNames(comparison, change, types) };
  };
}

/**
 * Differences a unit, and extracts its replacement code at once: what was compared takes more memory than the objects, and
 * there may be hundreds of units.
 */
export async function diffBuilt(unit: BuiltUnit, compare: CompareObjects): Promise<DiffedUnit> {
  const { comparison, change } = await compare(unit);
  const diffed = {
    unit,
    pre: comparison.pre.unit.object,
    post: comparison.post.unit.object,
    change,
    replacement: undefined,
  };
  if (!needsReplacement(change) || change.diagnostics.some(({ severity }) => severity === 'error'))
    return diffed;
  try {
    return { ...diffed, replacement: extractReplacement(comparison, change) };
  } catch (error) {
    // What speaks against any of the units is told before it.
    if (error instanceof RefusedError) return { ...diffed, replacement: error };
    throw error;
  }
}
