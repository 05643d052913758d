/**
 * Links an update for a kernel that does not run, as a livepatch module which needs no linking on the machine: so it can be
 * signed once, where it is made, and loaded by whoever can load modules.
 *
 * It is matched as ever, with the kernel in its file. That the machine has this very kernel the module asks itself when it
 * is loaded, by what the kernel calls itself and by the old code, as far as that is the same on all machines.
 */
import type { ImageKernel } from '../kernel/image/image-kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { modeOptions } from '../match/match-mode.ts';
import { mismatchError } from '../match/mismatch-report.ts';
import { RunTables } from '../match/run-tables.ts';
import { encodeManifest } from '../update/manifest.ts';
import { encodeSignature } from '../update/signature.ts';
import type { Update } from '../update/update.ts';
import { linkMatchedLivepatch } from './link-matched.ts';
import type { LinkedModule } from './link-update.ts';
import { type MatchedUnit, matchWithBelow } from './matched-unit.ts';
import { KERNEL_START, MODULES_VADDR } from './reach.ts';
import { type FixedRange, maskForRest } from './rest-code.ts';
import type { ObjectsOfUnit, UpdateObjects } from './update-objects.ts';

function fixedRange(kernel: ImageKernel, target: string): FixedRange {
  if (target === VMLINUX) return { start: KERNEL_START, end: MODULES_VADDR };
  const module = kernel.modules().find(({ name }) => name === target);
  return module === undefined
    ? { start: 0n, end: 0n }
    : { start: module.base, end: module.base + BigInt(module.size) };
}

async function matchAtRest(
  units: readonly ObjectsOfUnit[],
  kernel: ImageKernel,
  matching: UpdateObjects['matching'],
): Promise<readonly MatchedUnit[]> {
  const options = { ...(await modeOptions(matching)), tables: new RunTables(kernel) };
  const matches: MatchedUnit[] = [];
  for (const unit of units) {
    const result = matchWithBelow({ ...unit, on: [] }, [], kernel, options);
    if ('mismatch' in result) throw await mismatchError(result.mismatch);
    const match = maskForRest(result.match, fixedRange(kernel, unit.target));
    matches.push({ ...result, match });
  }
  return matches;
}

/**
 * The targets must be loaded in `kernel`. The same update and kernel give the same bytes.
 * Throws MatchError at the first mismatch, RefusedError `livepatch_refused`, MissingError `no_livepatch`.
 */
export async function linkAtRest(
  update: Update,
  objects: UpdateObjects,
  kernel: ImageKernel,
): Promise<LinkedModule> {
  const matches = await matchAtRest(objects.units, kernel, objects.matching);
  const { release, version } = kernel;
  return linkMatchedLivepatch(update, objects, matches, kernel, {
    kernel: { release, version, exported: (name) => kernel.exported(name) },
    note: {
      manifest: encodeManifest(update.manifest, update.id),
      signature: update.signature === undefined ? undefined : encodeSignature(update.signature),
    },
  });
}
