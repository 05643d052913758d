/** The kernel that an update is held against: the running one, or one at rest. */

import { MatchError, UsageError } from '../diagnostics/error.ts';
import { ImageKernel } from '../kernel/image/image-kernel.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { RunningKernel } from '../kernel/running-kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { checkUpdate, type UnitCheck, type UpdateCheck } from '../link/check-update.ts';
import { namesOf, readObjects, type UpdateObjects } from '../link/update-objects.ts';
import { refuseLivepatched } from '../live/livepatch-owner.ts';
import { requireRoot } from '../live/require-root.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { targetNotLoaded } from '../live/target-not-loaded.ts';
import { textPatches } from '../live/text-patches.ts';
import { requireBelow } from '../live/updates-below.ts';
import { mismatchDetails } from '../match/mismatch-report.ts';
import { counted } from '../report/format.ts';
import { identityDifference, type KernelIdentity } from '../update/kernel-identity.ts';
import type { Update } from '../update/update.ts';
import type { Session } from './session.ts';

/** Where the kernel is; the running one without. */
export type KernelFlags = {
  readonly image?: string;
  readonly modules?: string;
};

interface Subject {
  readonly kernel: Kernel;
  readonly identity: KernelIdentity;
  /** `is running`, `is in /boot/vmlinuz-x`. */
  readonly found: string;
  /** Makes a module be there; the running kernel has those that it has. */
  readonly load: ((module: string) => Promise<unknown>) | undefined;
  readonly close: () => void;
}

async function openKernel(flags: KernelFlags): Promise<Subject> {
  const { image, modules } = flags;
  if (image === undefined) {
    const kernel = new RunningKernel();
    const close = (): void => {
      kernel.close();
    };
    return { kernel, identity: runningIdentity(), found: 'is running', load: undefined, close };
  }
  const kernel = await ImageKernel.open(image, modules === undefined ? {} : { modulesDirectory: modules });
  const identity = { release: kernel.release, banner: kernel.version };
  const load = async (module: string): Promise<unknown> => await kernel.loadModule(module);
  return { kernel, identity, found: `is in ${image}`, load, close: () => undefined };
}

export interface CheckedUpdate extends UpdateCheck {
  readonly identity: KernelIdentity;
  readonly isRunning: boolean;
  /** Every unit matches, and the core is for this kernel. */
  readonly fits: boolean;
  /** Why the core does not fit although the code may: a MatchError to throw. */
  readonly difference: MatchError | undefined;
}

/**
 * Checks an update against the kernel of the flags, and closes that. What does not match is in the result; throws UsageError,
 * MissingError and what would stop linking.
 */
export async function checkAgainstKernel(
  session: Session,
  flags: KernelFlags,
  update: Update,
): Promise<CheckedUpdate> {
  if (flags.image === undefined) requireRoot("read the running kernel's memory");
  const objects = readObjects(update);
  session.progress.step('reading the kernel');
  const subject = await openKernel(flags);
  try {
    const { kernel, identity, found } = subject;
    await needTargets(subject, update.id, objects);
    if (kernel.isRunning) {
      requireBelow(update);
      refuseLivepatched(update);
    } else if (update.on.length > 0) {
      const ids = update.on.map(({ id }) => id).join(', ');
      session.note(
        `${update.id} is on top of ${ids}: what it replaces of their code is in no kernel at rest, and not looked at`,
      );
    }
    kernel.prefetch(namesOf(objects));
    const count = objects.units.length;
    const check = await checkUpdate(
      update,
      objects,
      kernel,
      () => (kernel.isRunning ? textPatches(kernel) : []),
      (path, number) => {
        session.progress.step(`matching ${path}${count === 1 ? '' : `, ${number} of ${count}`}`);
      },
    );
    const difference = identityDifference(update.kernel, identity, found);
    return {
      ...check,
      identity,
      isRunning: kernel.isRunning,
      fits: check.units.every(({ matches }) => matches) && difference === undefined,
      difference: difference === undefined ? undefined : otherKernel(update.id, difference),
    };
  } finally {
    subject.close();
  }
}

function otherKernel(id: string, difference: string): MatchError {
  return new MatchError('no_match', `${id}: ${difference}; its code matches, but not its core`, {
    hint: 'create the update again for that kernel',
  });
}

/** Throws UsageError if the flags say where modules are and not of which kernel. */
export function checkKernelFlags({ image, modules }: KernelFlags): void {
  if (modules === undefined || image !== undefined) return;
  throw new UsageError('usage', '--modules goes with --image', {
    hint: 'give the image of that kernel, too',
  });
}

/** The modules that are updated: loaded, or read from where they are at rest. */
async function needTargets({ kernel, load }: Subject, id: string, objects: UpdateObjects): Promise<void> {
  const loaded = new Set(kernel.modules().map(({ name }) => name));
  for (const { target } of objects.units) {
    if (target === VMLINUX || loaded.has(target)) continue;
    if (load === undefined) throw targetNotLoaded(id, target, false);
    await load(target);
  }
}

/** Throws MatchError if there is a mismatch: the first one is the error, all are in its details. */
export function refuseMismatches(units: readonly UnitCheck[]): void {
  const failed = units.flatMap(({ mismatch }) => (mismatch === undefined ? [] : [mismatch]));
  const [first] = failed;
  if (first === undefined) return;
  const more = failed.length === 1 ? '' : `, and ${counted(failed.length - 1, 'unit')} more`;
  throw new MatchError(first.code, `${first.summary}${more}`, {
    hint: first.cause,
    details: { ...mismatchDetails(first), units },
  });
}
