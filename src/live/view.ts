/**
 * view: what the core says, joined with what we know of each update.
 */
import { UsageError } from '../diagnostics/error.ts';
import {
  abortCauseOf,
  type Conflict,
  conflictsOf,
  hasEntry,
  isCoreLoaded,
  listEntries,
  type Stage,
  stageOf,
} from './core-sysfs.ts';
import { lastEvent, readRecord } from './journal.ts';
import { livepatchOwner } from './livepatch-owner.ts';
import { requireRoot } from './require-root.ts';
import type { SignatureVerdict } from './trust/judge.ts';
import { signatureLook } from './trust/look.ts';

export interface UpdateView {
  readonly id: string;
  readonly stage: Stage;
  readonly description: string;
  /** CVE numbers of what it fixes, as its author gave them. */
  readonly cves: readonly string[];
  /** Who signed it, as this machine sees it now. */
  readonly signature: SignatureVerdict | null;
  /** ISO time of the last apply, or null if it is not applied. */
  readonly appliedAt: string | null;
  readonly functions: readonly string[];
  readonly units: readonly string[];
  /** IDs of the updates that it is on top of, from the lowest up. */
  readonly on: readonly string[];
  readonly abortCause: string;
  readonly conflicts: readonly Conflict[];
  /** Functions that a livepatch loaded later has taken over. */
  readonly shadowed: readonly { readonly function: string; readonly livepatch: string }[];
  readonly patches: readonly { readonly name: string; readonly text: string }[];
}

function viewOf(id: string, lookAt: ReturnType<typeof signatureLook>): UpdateView {
  const record = readRecord(id);
  const stage = stageOf(id);
  const units = record?.manifest.units ?? [];
  const functions = units.flatMap((unit) => unit.functions.map((each) => each.preName));
  return {
    id,
    stage,
    description: record?.manifest.description ?? '',
    cves: record?.manifest.cves ?? [],
    signature: record === undefined ? null : lookAt({ id, ...record }),
    appliedAt: stage === 'applied' ? (lastEvent(id, 'done')?.toISOString() ?? null) : null,
    functions,
    units: units.map((unit) => unit.path),
    on: (record?.manifest.on ?? []).map((below) => below.id),
    abortCause: abortCauseOf(id),
    conflicts: conflictsOf(id),
    shadowed: units.flatMap(({ target, functions: replaced }) =>
      replaced.flatMap(({ preName }) => {
        const livepatch = livepatchOwner(preName, target);
        return livepatch === undefined ? [] : [{ function: preName, livepatch }];
      }),
    ),
    patches: record?.patches ?? [],
  };
}

/** All updates that the core knows, or one. */
export function viewUpdates(id: string | undefined): readonly UpdateView[] {
  // The core tells root only; without it there is nothing to tell.
  if (isCoreLoaded()) requireRoot('see which updates are applied');
  const lookAt = signatureLook();
  if (id === undefined) return listEntries().map((each) => viewOf(each, lookAt));
  if (!/^[a-z0-9_]{1,32}$/.test(id) || !hasEntry(id)) {
    throw new UsageError('unknown_update', `${id}: no update of this ID on this machine`, {
      hint: 'ksplice view lists those that there are',
    });
  }
  return [viewOf(id, lookAt)];
}
