import { UsageError } from '../diagnostics/error.ts';
import { checkCount } from '../live/check-together.ts';
import { installedStatus } from '../live/installed/status.ts';
import { isOfLivepatch } from '../live/livepatch-state.ts';
import { withMachineLock } from '../live/lock.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { type ByEngine, undoAny } from '../live/switch-engines.ts';
import type { UndoResult } from '../live/undo.ts';
import { counted } from '../report/format.ts';
import { liveContext, waitNotice } from './live-context.ts';
import type { Session } from './session.ts';
import { switchText, transitionText } from './switch-text.ts';
import type { UndoFlags } from './undo-command.ts';

/** `ksplice undo ID...`: all in one stop, or none. */
export async function undo(session: Session, flags: UndoFlags, ...given: readonly string[]): Promise<void> {
  const ids = [...new Set(given)];
  checkCount(ids.length);
  const jumping = flags.wait === undefined ? undefined : ids.find((id) => !isOfLivepatch(id));
  if (jumping !== undefined) {
    throw new UsageError('usage', `${jumping}: --wait goes with updates that livepatch has`, {
      hint: 'the jump engine makes five attempts, a second apart: leave --wait out',
    });
  }
  const results = await withMachineLock(
    waitNotice(session),
    async () => await undoAny(ids, (id) => liveContext(session, id, flags)),
  );
  const atBoot = installedStatus(runningIdentity()).here.map(({ id }) => id);
  for (const id of ids.filter((each) => atBoot.includes(each))) {
    session.note(`${id} is installed, and applied again at the next boot, unless: ksplice uninstall ${id}`);
  }
  session.done({ updates: results }, results.map(resultText).join(''));
}

function resultText(result: UndoResult & ByEngine): string {
  const files = [
    ...result.removed.map((file) => `${result.id}: removed ${file}\n`),
    ...result.kept.map((file) => `${result.id}: left ${file}, which was altered since it was installed\n`),
    ...result.stillLoaded.map(
      (name) => `${result.id}: the module ${name} that is loaded stays the fixed one until it is unloaded\n`,
    ),
  ].join('');
  if (result.timing === undefined && result.transitionMs === undefined) return files;
  const back =
    result.functions.length === 0
      ? 'its hooks were called'
      : `${counted(result.functions.length, 'function')} as before`;
  const resident = result.resident
    ? `; its module stays loaded, since an address in it may have been kept\n`
    : '\n';
  return `${result.id}: undone: ${back}, ${result.timing === undefined ? transitionText(result.transitionMs ?? 0) : switchText(result.timing)}${resident}${files}`;
}
