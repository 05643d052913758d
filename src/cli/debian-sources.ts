import { cacheDir } from '../debian/cache-dir.ts';
import { debianSources } from '../debian/debian-sources.ts';
import { withCacheInUse } from './cache-use.ts';
import type { CommonFlags, Session } from './session.ts';

/** `ksplice debian sources RELEASE` */
export async function sources(session: Session, _flags: CommonFlags, release: string): Promise<void> {
  const options = {
    cacheDir: cacheDir(session.host.env),
    onProgress: session.onProgress,
    signal: session.signal,
  };
  const kernel = await withCacheInUse(options, () => debianSources(release, options));

  const rows = Object.entries(kernel);
  session.result(kernel, rows.map(([name, value]) => `${name.padEnd(8)} ${value}\n`).join(''));
}
