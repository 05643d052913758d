import { type ApplyResult, applyUpdate } from '../live/apply.ts';
import { withMachineLock } from '../live/lock.ts';
import { counted } from '../report/format.ts';
import { readUpdateFile } from '../update/read-update.ts';
import type { Update } from '../update/update.ts';
import type { ApplyFlags } from './apply-command.ts';
import { liveContext, waitNotice } from './live-context.ts';
import type { Session } from './session.ts';
import { switchText } from './switch-text.ts';

async function readAll(session: Session, files: readonly string[]): Promise<readonly Update[]> {
  const updates: Update[] = [];
  for (const file of files) {
    session.progress.step(`checking ${file}`);
    updates.push(await readUpdateFile(file));
  }
  return updates;
}

/** `ksplice apply FILE...`. Every file is read and checked before the first is applied. */
export async function apply(session: Session, flags: ApplyFlags, ...files: readonly string[]): Promise<void> {
  const results: ApplyResult[] = [];
  // Read while the lock's helper starts; what is wrong with a file is told in the lock, where it is awaited.
  const reading = readAll(session, files);
  reading.catch(() => undefined);
  await withMachineLock(waitNotice(session), async () => {
    for (const update of await reading) {
      try {
        results.push(await applyUpdate(update, liveContext(session, update.id, flags.debug)));
      } catch (error) {
        if (results.length > 0) {
          session.note(`applied before that: ${results.map(({ id }) => id).join(', ')}`);
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
  const replaced = `${counted(result.functions.length, 'function')} replaced (${result.functions.join(', ')})`;
  const left =
    result.recovered === 'leftovers' ? `${result.id}: removed what an interrupted run had left\n` : '';
  return `${left}${result.id}: applied: ${replaced}, ${switchText(result.timing)}\n`;
}
