import { coreInterface, isCoreLoaded } from '../live/core-sysfs.ts';
import { effectiveVersion } from '../live/effective-version.ts';
import { metricsText } from '../live/metrics.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { viewUpdates } from '../live/view.ts';
import type { MetricsFlags } from './metrics-command.ts';
import type { Session } from './session.ts';
import { writeOutput } from './write-output.ts';

/** `ksplice metrics` */
export async function metrics(session: Session, { output }: MetricsFlags): Promise<void> {
  const updates = viewUpdates(undefined);
  const kernel = effectiveVersion(runningIdentity(), updates);
  const text = metricsText(kernel, updates, isCoreLoaded() ? coreInterface() : undefined);
  if (output === undefined) {
    session.result({ metrics: text }, text);
    return;
  }
  await writeOutput(output, text);
  session.done({ file: output }, `wrote ${output}\n`);
}
