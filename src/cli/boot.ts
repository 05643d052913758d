import { MissingError, RefusedError } from '../diagnostics/error.ts';
import {
  applyInstalled,
  type BootContext,
  type BootResult,
  endBoot,
  forgetCrashes,
} from '../live/installed/boot.ts';
import { installedStatus } from '../live/installed/status.ts';
import { withMachineLock } from '../live/lock.ts';
import { requireRoot } from '../live/require-root.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { counted } from '../report/format.ts';
import { isShuttingDown, restartGoodTimer } from './good-timer.ts';
import { liveContext, waitNotice } from './live-context.ts';
import type { CommonFlags, Session } from './session.ts';

const ROOT = '/';

function bootContext(session: Session): BootContext {
  return {
    root: ROOT,
    running: runningIdentity(),
    // What is not loaded yet is served by its fixed module, where the update has one.
    contextOf: (id) => liveContext(session, id, { partial: true }),
    warn: (text) => {
      session.progress.print(`warning: ${text}`);
    },
  };
}

/** Says what was done; throws MissingError if something was not. */
function report(session: Session, result: BootResult): void {
  const { applied, failed, skipped } = result;
  const done = applied.map(
    ({ id, alreadyApplied }) => `${id}: ${alreadyApplied ? 'applied already' : 'applied'}\n`,
  );
  if (failed.length === 0) {
    const nothing =
      skipped === 'noksplice'
        ? 'booted with noksplice: nothing applied\n'
        : 'nothing is installed for this kernel\n';
    session.done(result, done.join('') || nothing);
    return;
  }
  for (const line of done) session.progress.print(line.trimEnd());
  for (const { message, hint } of failed) {
    session.progress.print(`not applied: ${message}${hint === null ? '' : ` (${hint})`}`);
  }
  const names = failed.map(({ id }) => id).join(', ');
  throw new MissingError(
    'update_not_applied',
    `${counted(failed.length, 'installed update')} not applied: ${names}`,
    {
      hint: 'ksplice view says why; ksplice boot apply tries again',
      details: { applied: applied.map(({ id }) => id), failed },
    },
  );
}

/** `ksplice boot apply` */
export async function bootApply(session: Session): Promise<void> {
  const result = await withMachineLock(waitNotice(session), () => applyInstalled(bootContext(session)));
  if (result.applied.length > 0) await restartGoodTimer();
  report(session, result);
}

/** `ksplice boot retry` */
export async function bootRetry(session: Session): Promise<void> {
  const result = await withMachineLock(waitNotice(session), async () => {
    const context = bootContext(session);
    forgetCrashes(context.root, context.running);
    return await applyInstalled(context);
  });
  if (result.applied.length > 0) await restartGoodTimer();
  report(session, result);
}

/** `ksplice boot status` */
export function bootStatus(session: Session, _flags: CommonFlags): Promise<void> {
  requireRoot('see what is installed');
  const { here, held, boot, problem } = installedStatus(runningIdentity(), ROOT);
  const updates = here.map(({ id, isApplied, why }) => ({ id, isApplied, why }));
  const missing = updates.filter(({ isApplied }) => !isApplied);
  const details = { updates, boot, held, problem };
  if (missing.length === 0) {
    const how = boot === 'trying' ? ', not yet for long enough to be called good' : '';
    const text =
      here.length === 0
        ? 'nothing is installed for this kernel'
        : `${counted(here.length, 'installed update')} applied${how}`;
    session.result(details, `${text}\n`);
    return Promise.resolve();
  }
  const names = missing.map(({ id, why }) => (why === null ? id : `${id} (${why})`)).join(', ');
  const message = `${counted(missing.length, 'installed update')} not applied: ${names}`;
  throw held === null
    ? new MissingError('update_not_applied', message, { hint: 'ksplice boot apply tries again', details })
    : new RefusedError('held_back', message, {
        hint: 'to have them applied all the same: ksplice boot retry; to go without: ksplice uninstall',
        details,
      });
}

async function note(session: Session, state: 'good' | 'stopped', text: string): Promise<void> {
  const changed = await withMachineLock(waitNotice(session), () => Promise.resolve(endBoot(ROOT, state)));
  session.done({ changed }, changed ? `${text}\n` : 'nothing to note\n');
}

/** `ksplice boot good` */
export async function bootGood(session: Session): Promise<void> {
  await note(session, 'good', 'this boot is good: what was applied is applied at the next one, too');
}

/** `ksplice boot shutdown` */
export async function bootShutdown(session: Session): Promise<void> {
  if (!(await isShuttingDown())) {
    session.done({ changed: false }, 'the machine is not shutting down: nothing to note\n');
    return;
  }
  await note(session, 'stopped', 'this boot ends in order');
}
