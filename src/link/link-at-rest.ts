/**
 * Links an update for a kernel that does not run, as a livepatch module which needs no linking on the machine: so it can be
 * signed once, where it is made, and loaded by whoever can load modules.
 *
 * It is matched as ever, with the kernel in its file. That the machine has this very kernel the module asks itself when it
 * is loaded, by what the kernel calls itself and by the old code, as far as that is the same on all machines.
 */
import { MatchError } from '../diagnostics/error.ts';
import type { ImageKernel } from '../kernel/image/image-kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { modeOptions } from '../match/match-mode.ts';
import { codeOf } from '../match/mismatch.ts';
import { mismatchDetails, reportMismatch } from '../match/mismatch-report.ts';
import { RunTables } from '../match/run-tables.ts';
import { encodeManifest } from '../update/manifest.ts';
import { encodeSignature } from '../update/signature.ts';
import type { Update } from '../update/update.ts';
import { linkMatchedLivepatch } from './link-matched.ts';
import type { LinkedModule } from './link-update.ts';
import { type MatchedUnit, matchWithBelow } from './matched-unit.ts';
import { type FixedRange, maskForRest } from './rest-code.ts';
import type { ObjectsOfUnit, UpdateObjects } from './update-objects.ts';

/** From __START_KERNEL_map to where modules begin. */
const KERNEL: FixedRange = { start: 0xffffffff80000000n, end: 0xffffffffc0000000n };

function fixedRange(kernel: ImageKernel, target: string): FixedRange {
  if (target === VMLINUX) return KERNEL;
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
    if ('mismatch' in result) {
      const report = await reportMismatch(result.mismatch);
      throw new MatchError(codeOf(result.mismatch), report.summary, {
        hint: report.cause,
        details: mismatchDetails(report),
      });
    }
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
