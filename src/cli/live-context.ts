import type { LiveContext } from '../live/context.ts';
import type { Session } from './session.ts';

/** What the commands that change the kernel report to: this run's progress. `subject` heads each step. */
export function liveContext(
  session: Session,
  subject: string,
  { debug = false, partial = false }: { readonly debug?: boolean; readonly partial?: boolean } = {},
): LiveContext {
  return {
    signal: session.signal,
    debug,
    onDebug: (line) => {
      session.progress.print(`core: ${line}`);
    },
    partial,
    onStep: (step) => {
      session.progress.step(`${subject}: ${step}`);
    },
  };
}

/** Says that another run holds the lock, and that this one waits for it. */
export function waitNotice(session: Session): () => void {
  return () => {
    session.progress.step('waiting for another ksplice that changes this kernel');
  };
}
