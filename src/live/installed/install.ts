/**
 * install and uninstall: which updates are applied when the machine boots. Nothing in memory changes.
 */
import { BusyError, MissingError, UsageError } from '../../diagnostics/error.ts';
import type { KernelIdentity } from '../../update/kernel-identity.ts';
import type { Update } from '../../update/update.ts';
import { SignatureGate } from '../trust/gate.ts';
import type { SignatureVerdict } from '../trust/judge.ts';
import { dependencyOrder, onTopOf } from './order.ts';
import {
  isStoredFor,
  listStored,
  removeStored,
  type StoredUpdate,
  storedFile,
  storeUpdate,
} from './store.ts';

/** An update that was read, and the bytes of its file. */
export interface InstallCandidate {
  readonly update: Update;
  readonly bytes: Uint8Array;
}

export interface InstallResult {
  readonly id: string;
  readonly kernel: KernelIdentity;
  readonly file: string;
  /** `same`: it was there already. `replaced`: another one of its ID was. */
  readonly outcome: 'installed' | 'replaced' | 'same';
  readonly signature: SignatureVerdict;
}

export interface InstallPlace {
  /** `/`, or another directory in tests. */
  readonly root: string;
  /** The kernel that is running; undefined where that is not known, as in a chroot without /proc. */
  readonly running: KernelIdentity | undefined;
  readonly warn: (text: string) => void;
}

/** The build that an update is for. One whose maker did not know the banner is for the running one, if the release is that one's. */
function kernelOf({ kernel }: Update, running: KernelIdentity | undefined): KernelIdentity {
  const { release, banner } = kernel;
  return { release, banner: banner ?? (running?.release === release ? running.banner : '') };
}

function sameBuild(a: Update, b: Update): boolean {
  return a.kernel.release === b.kernel.release && a.kernel.banner === b.kernel.banner;
}

/** What would be installed for the build of `update` then. */
function setWith(
  update: Update,
  stored: readonly Update[],
  candidates: readonly Update[],
): readonly Update[] {
  const added = candidates.filter((each) => sameBuild(each, update));
  const kept = stored.filter((each) => sameBuild(each, update) && !added.some(({ id }) => id === each.id));
  return [...kept, ...added];
}

/** The updates that one is on top of must be there after a boot, and be those very ones. */
function requireBelowInstalled({ id, on }: Update, set: readonly Update[]): void {
  for (const below of on) {
    const found = set.find((each) => each.id === below.id);
    if (found?.digest === below.digest) continue;
    throw new MissingError(
      'update_not_installed',
      found === undefined
        ? `${id} is on top of ${below.id}, which is not installed`
        : `${id} is on top of ${below.id}, and another update of that ID is installed`,
      {
        hint:
          found === undefined
            ? `install both: ksplice install ${below.id}.ksplice ${id}.ksplice`
            : `install ${id} as it was made on top of that one, or both as they belong together`,
        details: { id, below: below.id, digest: below.digest },
      },
    );
  }
}

/**
 * Installs updates, all of them or none as far as can be told before; a machine that dies between two of them has the lower ones. The caller
 * holds the lock. Throws RefusedError where signatures do not suffice, MissingError `update_not_installed`.
 */
export function installUpdates(
  candidates: readonly InstallCandidate[],
  place: InstallPlace,
): readonly InstallResult[] {
  const { root, running, warn } = place;
  const updates = candidates.map(({ update }) => update);
  for (const update of updates) {
    const same = updates.filter((each) => each.id === update.id && sameBuild(each, update));
    if (same.length > 1) {
      throw new UsageError('usage', `${update.id}: given twice for ${update.kernel.release}`, {
        hint: 'leave one of them out',
      });
    }
  }
  const stored = listStored(root).flatMap(({ update }) => (update === undefined ? [] : [update]));
  for (const update of updates) {
    const set = setWith(update, stored, updates);
    for (const each of [update, ...onTopOf(set, update.id)]) requireBelowInstalled(each, set);
  }
  const judged = candidates.map(({ update, bytes }) => {
    const kernel = kernelOf(update, running);
    const signature = new SignatureGate(kernel, root).admit(update, warn);
    return { id: update.id, on: update.on, update, bytes, kernel, signature };
  });
  return dependencyOrder(judged).map(({ update, bytes, kernel, signature }): InstallResult => {
    const before = stored.find((each) => each.id === update.id && sameBuild(each, update));
    // Remembered first: a machine that dies in between refuses what is older than an update that it has not, and takes this one.
    new SignatureGate(kernel, root).stage([update])?.commit();
    storeUpdate(root, update, bytes);
    return {
      id: update.id,
      kernel,
      file: storedFile(root, update),
      outcome: before === undefined ? 'installed' : before.digest === update.digest ? 'same' : 'replaced',
      signature,
    };
  });
}

export interface UninstallRequest {
  readonly ids: readonly string[];
  /** `uname -r` of the kernel; undefined: the build that is running. */
  readonly release: string | undefined;
}

function isFor(
  root: string,
  stored: StoredUpdate,
  { release }: UninstallRequest,
  running: KernelIdentity | undefined,
): boolean {
  if (release !== undefined && stored.update !== undefined) return stored.update.kernel.release === release;
  if (running === undefined) return false;
  return isStoredFor(root, stored, { release: release ?? running.release, banner: running.banner });
}

function notInstalled(id: string, all: readonly StoredUpdate[], found: string): UsageError {
  const others = [
    ...new Set(all.filter((each) => each.id === id).map(({ update }) => update?.kernel.release ?? '')),
  ];
  const other = others.find((release) => release !== '');
  return new UsageError('unknown_update', `${id}: not installed for ${found}`, {
    hint:
      other === undefined
        ? 'ksplice view lists those that are installed'
        : `it is installed for ${others.join(', ')}: ksplice uninstall --kernel ${other} ${id}`,
  });
}

/** Takes updates out; returns what was taken. All of them or, where one cannot be, none. The caller holds the lock. */
export function uninstallUpdates(
  request: UninstallRequest,
  running: KernelIdentity | undefined,
  root: string,
): readonly StoredUpdate[] {
  const all = listStored(root);
  const here = all.filter((each) => isFor(root, each, request, running));
  const leaving = here.filter(({ id }) => request.ids.includes(id));
  for (const id of request.ids) {
    if (!leaving.some((each) => each.id === id)) {
      throw notInstalled(id, all, request.release ?? 'the running kernel');
    }
  }
  const staying = here.flatMap(({ id, update }) =>
    update === undefined || request.ids.includes(id) ? [] : [update],
  );
  for (const { id, update } of leaving) {
    const above = onTopOf(staying, id).filter((each) => update === undefined || sameBuild(each, update));
    if (above.length === 0) continue;
    const names = above.map((each) => each.id);
    throw new BusyError('module_busy', `${id}: ${names.join(', ')} is on top of it, and stays installed`, {
      hint: `uninstall that, too: ksplice uninstall ${[...names, id].join(' ')}`,
      details: { id, above: names },
    });
  }
  // From the top down: a machine that dies in between has nothing whose lower part is missing.
  const order = dependencyOrder(leaving.flatMap(({ update }) => (update === undefined ? [] : [update])));
  const height = ({ update }: StoredUpdate): number => (update === undefined ? -1 : order.indexOf(update));
  for (const each of leaving.toSorted((a, b) => height(b) - height(a))) removeStored(each);
  return leaving;
}
