import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import type { UnitResult } from './unit-result.ts';

export interface UnitCounts {
  readonly units: number;
  readonly matching: number;
  readonly mismatches: readonly UnitResult[];
  readonly notCompared: readonly UnitResult[];
  /** Bytes compared, of vmlinux and of modules. */
  readonly bytes: number;
  /** Of those that match. */
  readonly inModules: { readonly units: number; readonly bytes: number };
  /** `init_once of ipc/mqueue.o`, each once. */
  readonly toldApart: readonly string[];
  /** How many places had which rewritten contents; the most frequent first. */
  readonly explained: readonly (readonly [kind: string, places: number])[];
}

function bytesOf(units: readonly UnitResult[]): number {
  return units.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function countUnits(results: readonly UnitResult[]): UnitCounts {
  const matching = results.filter(({ outcome }) => outcome === 'match');
  const inModules = matching.filter(({ target }) => target !== VMLINUX);
  const explained = new Map<string, number>();
  for (const unit of matching) {
    for (const [kind, places] of Object.entries(unit.explained)) {
      explained.set(kind, (explained.get(kind) ?? 0) + places);
    }
  }
  return {
    units: results.length,
    matching: matching.length,
    mismatches: results.filter(({ outcome }) => outcome === 'mismatch'),
    notCompared: results.filter(({ outcome }) => outcome === 'not compared'),
    bytes: bytesOf(matching),
    inModules: { units: inModules.length, bytes: bytesOf(inModules) },
    toldApart: [
      ...new Set(matching.flatMap(({ path, toldApart }) => toldApart.map((name) => `${name} of ${path}`))),
    ],
    explained: [...explained].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)),
  };
}
