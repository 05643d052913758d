import { MissingError } from '../diagnostics/error.ts';
import { hasEntry, stageOf } from '../live/core-sysfs.ts';
import { watchBoot } from '../live/installed/boot.ts';
import { type InstallResult, installUpdates, uninstallUpdates } from '../live/installed/install.ts';
import { readRecord } from '../live/journal.ts';
import { withMachineLock } from '../live/lock.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { identityDifference, type KernelIdentity } from '../update/kernel-identity.ts';
import { readUpdate, readUpdateBytes } from '../update/read-update.ts';
import type { Update } from '../update/update.ts';
import { restartGoodTimer } from './good-timer.ts';
import type { UninstallFlags } from './install-command.ts';
import { waitNotice } from './live-context.ts';
import type { CommonFlags, Session } from './session.ts';

const ROOT = '/';

/** Undefined in a chroot without /proc, where images are made. */
function knownIdentity(): KernelIdentity | undefined {
  try {
    return runningIdentity();
  } catch (error) {
    if (error instanceof MissingError) return undefined;
    throw error;
  }
}

function isApplied({ id, digest }: Update): boolean {
  return hasEntry(id) && stageOf(id) === 'applied' && readRecord(id)?.digest === digest;
}

/** `ksplice install FILE...`. Every file is read and checked before the first is installed. */
export async function install(
  session: Session,
  _flags: CommonFlags,
  ...files: readonly string[]
): Promise<void> {
  const candidates = files.map((file) => {
    session.progress.step(`checking ${file}`);
    const bytes = readUpdateBytes(file);
    return { file, bytes, update: readUpdate(bytes, file) };
  });
  const running = knownIdentity();
  const warn = (text: string): void => {
    session.progress.print(`warning: ${text}`);
  };
  const results = await withMachineLock(waitNotice(session), async () => {
    const installed = installUpdates(candidates, { root: ROOT, running, warn });
    // What is applied already is part of what the next boot applies: if the machine goes down now, that counts.
    const applied = candidates.map(({ update }) => update).filter(isApplied);
    if (running !== undefined && applied.length > 0) {
      watchBoot(ROOT, running, applied);
      await restartGoodTimer();
    }
    return installed;
  });
  const lines = results.map((result) => {
    const candidate = candidates.find(({ update }) => storedAs(update, result));
    return installedText(result, candidate?.update, candidate?.file, running);
  });
  session.done({ updates: results }, lines.join(''));
}

function storedAs({ id, kernel }: Update, result: InstallResult): boolean {
  return id === result.id && kernel.release === result.kernel.release;
}

const OUTCOMES: Readonly<Record<InstallResult['outcome'], string>> = {
  installed: 'installed',
  replaced: 'installed, in the place of another one of this ID',
  same: 'installed already',
};

function installedText(
  { id, kernel, outcome }: InstallResult,
  update: Update | undefined,
  file: string | undefined,
  running: KernelIdentity | undefined,
): string {
  const line = `${id}: ${OUTCOMES[outcome]}: applied whenever ${kernel.release} boots`;
  if (update === undefined || file === undefined) return `${line}\n`;
  if (isApplied(update)) return `${line}, and applied now\n`;
  return running !== undefined && identityDifference(update.kernel, running, 'is running') === undefined
    ? `${line}; not applied now: ksplice apply ${file}\n`
    : `${line}; it is not the kernel that is running\n`;
}

/** `ksplice uninstall ID...` */
export async function uninstall(
  session: Session,
  flags: UninstallFlags,
  ...ids: readonly string[]
): Promise<void> {
  const running = flags.kernel === undefined ? runningIdentity() : knownIdentity();
  const removed = await withMachineLock(waitNotice(session), () =>
    Promise.resolve(uninstallUpdates({ ids, release: flags.kernel }, running, ROOT)),
  );
  const results = removed.map(({ id, file, update }) => ({
    id,
    file,
    isApplied: update !== undefined && isApplied(update),
  }));
  session.done(
    { updates: results },
    results
      .map(({ id, isApplied: still }) =>
        still ? `${id}: uninstalled; still applied: ksplice undo ${id}\n` : `${id}: uninstalled\n`,
      )
      .join(''),
  );
}
