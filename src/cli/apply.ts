import { RefusedError, UsageError } from '../diagnostics/error.ts';
import type { ApplyResult } from '../live/apply.ts';
import { checkCount } from '../live/check-together.ts';
import { watchInstalled } from '../live/installed/boot.ts';
import { withMachineLock } from '../live/lock.ts';
import { PreparedUpdates } from '../live/prepare-updates.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { applyWith, type ByEngine } from '../live/switch-engines.ts';
import { SignatureGate } from '../live/trust/gate.ts';
import type { SignatureVerdict } from '../live/trust/judge.ts';
import { counted } from '../report/format.ts';
import { readUpdateFile } from '../update/read-update.ts';
import type { Update } from '../update/update.ts';
import type { ApplyFlags } from './apply-command.ts';
import { restartGoodTimer } from './good-timer.ts';
import { liveContext, waitNotice } from './live-context.ts';
import type { Session } from './session.ts';
import { switchText, transitionText } from './switch-text.ts';

/** With what its signature is worth. */
interface AppliedUpdate extends ApplyResult, ByEngine {
  readonly signature: SignatureVerdict | undefined;
}

function prepare(session: Session, files: readonly string[]): PreparedUpdates {
  checkCount(files.length);
  const updates = files.map((file) => {
    session.progress.step(`checking ${file}`);
    return readUpdateFile(file);
  });
  const different = withoutRepeated(updates);
  // Objects are read only of updates that may be applied; what is told of them is told in the lock. All files count: of two
  // that hold the same update, one may not be signed.
  admitAll(updates, () => undefined);
  return new PreparedUpdates(different);
}

/** A file that was given twice counts once. Throws RefusedError for two updates with one ID. */
function withoutRepeated(updates: readonly Update[]): readonly Update[] {
  const byId = new Map<string, Update>();
  for (const update of updates) {
    const other = byId.get(update.id);
    if (other !== undefined && other.digest !== update.digest) {
      throw new RefusedError('id_taken', `${update.id}: two of the updates have this ID`, {
        hint: 'give one of them another ID (ksplice create --id)',
      });
    }
    byId.set(update.id, other ?? update);
  }
  return [...byId.values()];
}

/** May they be applied here, by who signed them? All of them, before anything is touched. */
function admitAll(
  updates: readonly Update[],
  warn: (text: string) => void,
): { readonly gate: SignatureGate; readonly verdicts: readonly SignatureVerdict[] } {
  const gate = new SignatureGate(runningIdentity());
  return { gate, verdicts: updates.map((update) => gate.admit(update, warn)) };
}

/** Throws UsageError for flags that the engine has no use for. */
function checkFlags({ engine = 'jump', partial = false, wait }: ApplyFlags): void {
  if (engine === 'jump' && wait !== undefined) {
    throw new UsageError('usage', '--wait goes with --engine livepatch', {
      hint: 'the jump engine makes five attempts, a second apart: leave --wait out',
    });
  }
  if (engine === 'livepatch' && partial) {
    throw new UsageError('usage', '--partial goes with the jump engine', { hint: 'leave one of them out' });
  }
}

/** `ksplice apply FILE...`. Every file is read and checked before anything is done; they are applied in one stop, or none is. */
export async function apply(session: Session, flags: ApplyFlags, ...files: readonly string[]): Promise<void> {
  checkFlags(flags);
  // As soon as the lock's helper has been started; what is wrong is told in the lock, where it is awaited.
  const preparing = Promise.resolve().then(() => prepare(session, files));
  preparing.catch(() => undefined);
  const results = await withMachineLock(waitNotice(session), async (): Promise<readonly AppliedUpdate[]> => {
    using prepared = await preparing;
    const updates = prepared.list.map(({ update }) => update);
    // Once more: another run may have applied a later one meanwhile.
    const { gate, verdicts } = admitAll(updates, (text) => {
      session.progress.print(`warning: ${text}`);
    });
    const watched = watchInstalled('/', runningIdentity(), prepared.list);
    const signed = gate.stage(updates);
    try {
      const applied = await applyWith(flags.engine ?? 'jump', prepared.list, prepared.kernel, (id) =>
        liveContext(session, id, flags),
      );
      signed?.commit();
      return applied.map((result, i) => ({ ...result, signature: verdicts[i] }));
    } catch (error) {
      signed?.discard();
      throw error;
    } finally {
      if (watched) await restartGoodTimer();
    }
  });
  session.done({ updates: results }, results.map(resultText).join(''));
}

function resultText(result: AppliedUpdate): string {
  const installed = result.installed.map((file) => `${result.id}: installed ${file}\n`).join('');
  if (result.alreadyApplied) {
    return `${result.id}: applied already${result.engine === 'livepatch' ? ' by livepatch' : ''}, nothing ${installed === '' ? '' : 'else '}to do\n${installed}`;
  }
  if (result.timing === undefined && result.transitionMs === undefined) {
    return `${installed}${skippedText(result)}`;
  }
  const replaced =
    result.functions.length === 0
      ? 'its hooks were called, no function replaced'
      : `${counted(result.functions.length, 'function')} replaced (${result.functions.join(', ')})`;
  const left =
    result.recovered === 'leftovers' ? `${result.id}: removed what an interrupted run had left\n` : '';
  const matched = result.mode === 'strict' ? '' : ', matched tolerantly';
  const signer = result.signature?.signer ?? null;
  const signed = signer === null ? '' : `, signed by ${signer}`;
  const how =
    result.timing === undefined ? transitionText(result.transitionMs ?? 0) : switchText(result.timing);
  const applied = `${result.id}: applied: ${replaced}${matched}${signed}, ${how}\n`;
  return `${left}${applied}${installed}${skippedText(result)}`;
}

/** What is not in memory, and what that means. */
function skippedText({ id, skipped, timing }: ApplyResult): string {
  if (skipped.length === 0) return '';
  const names = skipped.join(', ');
  const rest = timing === undefined ? '' : '; after a reboot apply the update again';
  return `${id}: without ${names}, of which the fixed module is loaded, now or next time${rest}\n`;
}
