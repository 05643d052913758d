/**
 * How the installed updates stand: for `view`, `boot status`, metrics. Looks only.
 */
import { KspliceError } from '../../diagnostics/error.ts';
import type { KernelIdentity } from '../../update/kernel-identity.ts';
import { isAppliedHere } from '../applied-here.ts';
import { asksForNone, bootId } from './boot-facts.ts';
import { type BootSet, heldBy, readBootRecord, withCrash } from './boot-record.ts';
import { readBootReport } from './boot-report.ts';
import { isStoredFor, listStored, type StoredUpdate } from './store.ts';

/** An update that is installed for the running kernel. */
export interface InstalledStatus {
  readonly id: string;
  readonly stored: StoredUpdate;
  /** Whether it, and no other of its ID, is applied. */
  readonly isApplied: boolean;
  /** Why it is not; null where it is applied, or nothing was tried yet. */
  readonly why: string | null;
}

export interface InstalledStatusOfAll {
  readonly here: readonly InstalledStatus[];
  /** Those for kernels that are not running. */
  readonly elsewhere: readonly StoredUpdate[];
  /** The set that the crash guard holds back. */
  readonly held: BootSet | null;
  /** How the boot goes that applied them; null if none was. */
  readonly boot: 'trying' | 'good' | 'stopped' | null;
  /** Why the crash guard's memory cannot be read. */
  readonly problem: string | null;
}

function isApplied({ id, update }: StoredUpdate): boolean {
  return update !== undefined && isAppliedHere({ id, digest: update.digest });
}

/** Throws MissingError `not_root` where the directory cannot be read. */
export function installedStatus(running: KernelIdentity, root = '/'): InstalledStatusOfAll {
  const all = listStored(root);
  if (all.length === 0) return { here: [], elsewhere: [], held: null, boot: null, problem: null };
  const here = all.filter((each) => isStoredFor(root, each, running));
  const updates = here.flatMap(({ update }) => (update === undefined ? [] : [update]));
  let held: BootSet | undefined;
  let boot: InstalledStatusOfAll['boot'] = null;
  let problem: string | null = null;
  try {
    const record = withCrash(readBootRecord(root), bootId());
    held = heldBy(record, running, updates);
    boot = record.last?.boot === bootId() ? record.last.state : null;
  } catch (error) {
    if (!(error instanceof KspliceError)) throw error;
    problem = error.message;
  }
  const report = readBootReport();
  const whyNot = (stored: StoredUpdate): string | null => {
    if (stored.problem !== undefined) return stored.problem.message;
    if (asksForNone()) return 'the machine was booted with noksplice';
    if (held !== undefined) return `held back: the machine went down soon after the boot of ${held.at}`;
    return report?.failed.find(({ id }) => id === stored.id)?.message ?? problem;
  };
  return {
    here: here.map((stored) => {
      const applied = isApplied(stored);
      return { id: stored.id, stored, isApplied: applied, why: applied ? null : whyNot(stored) };
    }),
    elsewhere: all.filter((each) => !here.includes(each)),
    held: held ?? null,
    boot,
    problem,
  };
}
