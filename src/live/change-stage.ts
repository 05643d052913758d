/** A change of stage, with the core's own account of it where that was asked for. */
import type { LiveContext } from './context.ts';
import { changeStage, type Errno, setDebug } from './core-sysfs.ts';
import { CoreLog } from './kernel-log.ts';

/** Asks the core to switch; under --debug its lines go to `context.onDebug`, whatever comes of it. */
export function changeStageLogged(id: string, stage: 'applied' | 'reversed', context: LiveContext): Errno {
  if (!context.debug) return changeStage(id, stage);
  setDebug(id);
  using log = new CoreLog();
  const errno = changeStage(id, stage);
  for (const line of log.take()) context.onDebug(line);
  return errno;
}
