/** A change of stage, with the core's own account of it where that was asked for. */
import type { LiveContext } from './context.ts';
import { changeStages, type Errno, setDebug } from './core-sysfs.ts';
import { CoreLog } from './kernel-log.ts';

/**
 * Asks the core to switch all of them in one stop; under --debug its lines go to `context.onDebug`, whatever comes of it.
 */
export function changeStagesLogged(
  ids: readonly string[],
  stage: 'applied' | 'reversed',
  context: Pick<LiveContext, 'debug' | 'onDebug'>,
): Errno {
  if (!context.debug) return changeStages(ids, stage);
  for (const id of ids) setDebug(id);
  using log = new CoreLog();
  const errno = changeStages(ids, stage);
  for (const line of log.take()) context.onDebug(line);
  return errno;
}
