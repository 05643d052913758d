import { effectiveVersion, effectiveVersionText } from '../live/effective-version.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { viewUpdates } from '../live/view.ts';
import type { CommonFlags, Session } from './session.ts';

/** `ksplice uname` */
export function uname(session: Session, _flags: CommonFlags): Promise<void> {
  const kernel = effectiveVersion(runningIdentity(), viewUpdates(undefined));
  for (const id of kernel.shadowed) {
    session.note(
      `${id}: a livepatch has taken over a function, so what it fixes is not counted (ksplice view ${id})`,
    );
  }
  session.result(kernel, `${effectiveVersionText(kernel)}\n`);
  return Promise.resolve();
}
