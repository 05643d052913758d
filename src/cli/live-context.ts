import type { LiveContext } from '../live/context.ts';
import type { Engine } from '../live/engine.ts';
import type { Session } from './session.ts';

/** Seconds for a transition of livepatch, which signals tasks that are late every 15 s. */
const DEFAULT_WAIT_S = 60;

export interface LiveFlags {
  readonly debug?: boolean;
  readonly partial?: boolean;
  readonly engine?: Engine;
  readonly wait?: number;
}

/** What the commands that change the kernel report to: this run's progress. `subject` heads each step. */
export function liveContext(
  session: Session,
  subject: string,
  { debug = false, partial = false, engine = 'jump', wait = DEFAULT_WAIT_S }: LiveFlags = {},
): LiveContext {
  return {
    signal: session.signal,
    debug,
    onDebug: (line) => {
      session.progress.print(`core: ${line}`);
    },
    partial,
    engine,
    waitMs: wait * 1000,
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
