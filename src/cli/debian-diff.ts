import { cacheDir } from '../debian/cache-dir.ts';
import { debianDiff } from '../debian/debian-diff.ts';
import type { DebianDiffFlags } from './debian-command.ts';
import type { Session } from './session.ts';

/** `ksplice debian diff FROM TO` */
export async function diff(
  session: Session,
  flags: DebianDiffFlags,
  from: string,
  to: string,
): Promise<void> {
  const patch = await debianDiff(from, to, {
    cacheDir: cacheDir(session.host.env),
    files: flags.file ?? [],
    onProgress: session.progress.step.bind(session.progress),
    signal: session.signal,
  });
  session.result({ patch }, patch);
}
