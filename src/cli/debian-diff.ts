import { cacheDir } from '../debian/cache-dir.ts';
import { debianDiff } from '../debian/debian-diff.ts';
import { withCacheInUse } from './cache-use.ts';
import type { DebianDiffFlags } from './debian-command.ts';
import type { Session } from './session.ts';

/** `ksplice debian diff FROM TO` */
export async function diff(
  session: Session,
  flags: DebianDiffFlags,
  from: string,
  to: string,
): Promise<void> {
  const options = {
    cacheDir: cacheDir(session.host.env),
    files: flags.file ?? [],
    onProgress: session.onProgress,
    signal: session.signal,
  };
  const patch = await withCacheInUse(options, () => debianDiff(from, to, options));
  session.result({ patch }, patch);
}
