import { homedir } from 'node:os';
import path from 'node:path';

/**
 * Where downloads, unpacked sources and prepared trees are kept: `$XDG_CACHE_HOME/ksplice`, or
 * `~/.cache/ksplice`. As the XDG base directory specification asks, a relative value is ignored.
 * The environment is an argument: only the command line reads the real one.
 */
export function cacheDir(env: Readonly<Record<string, string | undefined>>): string {
  const xdg = env['XDG_CACHE_HOME'];
  if (xdg !== undefined && path.isAbsolute(xdg)) {
    return path.join(xdg, 'ksplice');
  }
  const home = env['HOME'];
  return path.join(home === undefined || home === '' ? homedir() : home, '.cache', 'ksplice');
}
