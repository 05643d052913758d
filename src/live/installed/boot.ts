/**
 * Applies what is installed for the running kernel, when the machine boots.
 *
 * Nothing here may keep a machine from coming up: one update that fails is told of, and the others go on (those on top of it fail with its
 * name). The crash guard is asked first, and told before anything is tried (boot-record.ts); where that cannot be written, nothing is applied,
 * since a machine that falls down would not remember why.
 */
import { KspliceError, RefusedError } from '../../diagnostics/error.ts';
import type { KernelIdentity } from '../../update/kernel-identity.ts';
import type { Update } from '../../update/update.ts';
import { type ApplyResult, applyUpdates } from '../apply.ts';
import type { LiveContext } from '../context.ts';
import { PreparedUpdates } from '../prepare-updates.ts';
import { SignatureGate } from '../trust/gate.ts';
import { asksForNone, bootId } from './boot-facts.ts';
import {
  heldBy,
  readBootRecord,
  withCrash,
  withEnd,
  withoutHeld,
  withTrying,
  writeBootRecord,
} from './boot-record.ts';
import { type BootFailure, type BootReport, writeBootReport } from './boot-report.ts';
import { dependencyOrder } from './order.ts';
import { isStoredFor, listStored } from './store.ts';

export interface BootContext {
  readonly root: string;
  readonly running: KernelIdentity;
  /** How to report on one update. */
  readonly contextOf: (id: string) => LiveContext;
  readonly warn: (text: string) => void;
}

export interface BootResult extends BootReport {
  readonly applied: readonly ApplyResult[];
}

function failureOf(id: string, error: unknown): BootFailure {
  if (error instanceof KspliceError) {
    return { id, code: error.code, message: error.message, hint: error.hint ?? null };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { id, code: 'unexpected', message: `${id}: ${message}`, hint: null };
}

/** Throws RefusedError `held_back`. */
function refuseHeld(context: BootContext, updates: readonly Update[]): void {
  const { root, running } = context;
  const record = withCrash(readBootRecord(root), bootId());
  const held = heldBy(record, running, updates);
  writeBootRecord(
    root,
    held === undefined ? withTrying(record, bootId(), running, updates, new Date()) : record,
  );
  if (held === undefined) return;
  const names = held.updates.map(({ id }) => id);
  throw new RefusedError(
    'held_back',
    `installed updates are held back: the machine went down soon after ${names.join(', ')} was applied at ${held.at}`,
    {
      hint: `look at what the kernel said then; to have them applied all the same: ksplice boot retry; to go without: ksplice uninstall ${names.join(' ')}`,
      details: { updates: names, at: held.at },
    },
  );
}

async function applyEach(
  updates: readonly Update[],
  context: BootContext,
): Promise<Pick<BootResult, 'applied' | 'failed'>> {
  const applied: ApplyResult[] = [];
  const failed: BootFailure[] = [];
  for (const update of updates) {
    try {
      const gate = new SignatureGate(context.running, context.root);
      gate.admit(update, context.warn);
      const signed = gate.stage([update]);
      try {
        using prepared = new PreparedUpdates([update]);
        applied.push(...(await applyUpdates(prepared.list, prepared.kernel, context.contextOf)));
      } catch (error) {
        signed?.discard();
        throw error;
      }
      signed?.commit();
    } catch (error) {
      failed.push(failureOf(update.id, error));
    }
  }
  return { applied, failed };
}

/**
 * The caller holds the lock. Throws RefusedError `held_back`, and what the guard's memory throws; what fails for one update is in the result. Both
 * are in the report of this boot.
 */
export async function applyInstalled(context: BootContext): Promise<BootResult> {
  const { root, running } = context;
  const at = new Date().toISOString();
  if (asksForNone()) {
    const report: BootReport = { at, skipped: 'noksplice', failed: [] };
    writeBootReport(report);
    return { ...report, applied: [] };
  }
  const stored = listStored(root).filter((each) => isStoredFor(root, each, running));
  const updates = dependencyOrder(stored.flatMap(({ update }) => (update === undefined ? [] : [update])));
  const unreadable = stored.flatMap(({ id, problem }) =>
    problem === undefined ? [] : [failureOf(id, problem)],
  );
  try {
    if (updates.length > 0) refuseHeld(context, updates);
  } catch (error) {
    const failed = [...unreadable, ...updates.map(({ id }) => failureOf(id, error))];
    writeBootReport({ at, skipped: 'held_back', failed });
    throw error;
  }
  const { applied, failed } = await applyEach(updates, context);
  const report: BootReport = { at, skipped: null, failed: [...unreadable, ...failed] };
  writeBootReport(report);
  return { ...report, applied };
}

/** Has the updates of this kernel tried again. The caller holds the lock. */
export function forgetCrashes(root: string, running: KernelIdentity): void {
  let record = { format: 1, last: null, held: [] } as ReturnType<typeof readBootRecord>;
  try {
    record = readBootRecord(root);
  } catch (error) {
    // The person has decided: what cannot be read holds nothing back any more.
    if (!(error instanceof KspliceError) || error.code !== 'malformed_policy') throw error;
  }
  writeBootRecord(root, withoutHeld(withCrash(record, bootId()), running));
}

/** Notes that this boot went well, or ends in order. Returns whether there was anything to note. */
export function endBoot(root: string, state: 'good' | 'stopped'): boolean {
  const next = withEnd(readBootRecord(root), bootId(), state);
  if (next === undefined) return false;
  writeBootRecord(root, next);
  return true;
}

/** Watches a change of installed updates that is made while the machine runs: `updates` are about to be, or have been, applied. */
export function watchBoot(root: string, running: KernelIdentity, updates: readonly Update[]): void {
  if (updates.length === 0) return;
  writeBootRecord(
    root,
    withTrying(withCrash(readBootRecord(root), bootId()), bootId(), running, updates, new Date()),
  );
}

/** As `watchBoot`, for those of `prepared` that are installed. Returns whether there are any. */
export function watchInstalled(
  root: string,
  running: KernelIdentity,
  prepared: readonly { readonly update: Update }[],
): boolean {
  const installed = new Set(listStored(root).map(({ update }) => update?.digest));
  const updates = prepared.map(({ update }) => update).filter(({ digest }) => installed.has(digest));
  watchBoot(root, running, updates);
  return updates.length > 0;
}
