import { KspliceError } from '../../src/diagnostics/error.ts';
import { ImageKernel } from '../../src/kernel/image/image-kernel.ts';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import type { MatchedKernel } from './match-units.ts';
import type { CompiledUnit } from './unit-result.ts';

/** The kernel in the image, with all modules that the units are part of. */
export async function openAtRest(
  image: string,
  modulesDirectory: string,
  units: readonly CompiledUnit[],
): Promise<MatchedKernel> {
  const kernel = await ImageKernel.open(image, { modulesDirectory });
  const missing = new Map<string, string>();
  for (const target of new Set(units.map((unit) => unit.target))) {
    if (target === VMLINUX) continue;
    try {
      await kernel.loadModule(target);
    } catch (error) {
      if (!(error instanceof KspliceError)) throw error;
      missing.set(target, error.message);
    }
  }
  return { kernel, symbols: () => kernel.symbols(), missing };
}
