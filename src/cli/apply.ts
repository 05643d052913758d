import { type ApplyResult, applyUpdate } from '../live/apply.ts';
import { withMachineLock } from '../live/lock.ts';
import { PreparedUpdates } from '../live/prepare-updates.ts';
import { counted } from '../report/format.ts';
import { readUpdateFile } from '../update/read-update.ts';
import type { ApplyFlags } from './apply-command.ts';
import { liveContext, waitNotice } from './live-context.ts';
import type { Session } from './session.ts';
import { switchText } from './switch-text.ts';

function prepare(session: Session, files: readonly string[]): PreparedUpdates {
  return new PreparedUpdates(
    files.map((file) => {
      session.progress.step(`checking ${file}`);
      return readUpdateFile(file);
    }),
  );
}

/** `ksplice apply FILE...`. Every file is read and checked before the first is applied. */
export async function apply(session: Session, flags: ApplyFlags, ...files: readonly string[]): Promise<void> {
  const results: ApplyResult[] = [];
  // As soon as the lock's helper has been started; what is wrong is told in the lock, where it is awaited.
  const preparing = Promise.resolve().then(() => prepare(session, files));
  preparing.catch(() => undefined);
  await withMachineLock(waitNotice(session), async () => {
    using prepared = await preparing;
    for (const one of prepared.list) {
      const { id } = one.update;
      try {
        results.push(await applyUpdate(one, prepared.kernel, liveContext(session, id, flags.debug)));
      } catch (error) {
        if (results.length > 0) {
          session.note(`applied before that: ${results.map((each) => each.id).join(', ')}`);
        }
        throw error;
      }
    }
  });
  session.result({ updates: results }, results.map(resultText).join(''));
}

function resultText(result: ApplyResult): string {
  if (result.alreadyApplied) {
    return `${result.id}: applied already, nothing to do\n`;
  }
  const replaced =
    result.functions.length === 0
      ? 'its hooks were called, no function replaced'
      : `${counted(result.functions.length, 'function')} replaced (${result.functions.join(', ')})`;
  const left =
    result.recovered === 'leftovers' ? `${result.id}: removed what an interrupted run had left\n` : '';
  const matched = result.mode === 'strict' ? '' : ', matched tolerantly';
  return `${left}${result.id}: applied: ${replaced}${matched}, ${switchText(result.timing)}\n`;
}
