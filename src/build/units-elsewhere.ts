/**
 * Units whose object does not lie beside its source: `virt/kvm/kvm_main.c` is compiled by the Makefile of arch/x86/kvm, and
 * `tools/lib/bpf/relo_core.c` for kernel/bpf. Asked about the object beside the source, kbuild knows none.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { type ConfigurationOptions, readConfiguration } from './configuration-units.ts';
import type { UnitPlace } from './locate-units.ts';
import type { PreparedTree } from './tree.ts';

/**
 * Looks for files that no object beside them is made of among all units of the configuration.
 * Throws RefusedError for one that is in several.
 */
export async function findElsewhere(
  tree: PreparedTree,
  places: ReadonlyMap<string, UnitPlace>,
  options: ConfigurationOptions,
): Promise<ReadonlyMap<string, UnitPlace>> {
  const absent = [...places].filter(([, place]) => place.kind === 'absent').map(([source]) => source);
  if (absent.length === 0) return places;
  const { units } = await readConfiguration(tree, options);
  const found = new Map(places);
  for (const source of absent) {
    const [unit, ...others] = units.filter((each) => each.isListed && each.source === source);
    if (unit === undefined) continue;
    if (others.length > 0) {
      const objects = [unit, ...others].map(({ command }) => command.object).join(', ');
      throw new RefusedError('refused', `${source} is compiled into several objects (${objects})`, {
        hint: 'only what one object is made of can be updated: leave this file out of the patch, if the fix is complete without it',
        details: { file: source, objects },
      });
    }
    found.set(source, { kind: 'unit', command: unit.command });
  }
  return found;
}
