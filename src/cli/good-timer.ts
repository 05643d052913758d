import { existsSync } from 'node:fs';
import { run } from '../process/run.ts';

/** Any exit status is an answer. */
const ANY = Array.from({ length: 256 }, (_, status) => status);

/** Was the machine booted by systemd? sd_booted(3) looks for the same directory. */
function hasSystemd(): boolean {
  return existsSync('/run/systemd/system');
}

/**
 * From now on the machine has to run well for a while once more, until `ksplice boot good` is called. Where there is no such unit, whoever set
 * the machine up calls it (docs/boot.md).
 */
export async function restartGoodTimer(): Promise<void> {
  if (!hasSystemd()) return;
  await run(['systemctl', '--no-block', 'restart', 'ksplice-good.timer'], { okExitCodes: ANY }).catch(
    () => undefined,
  );
}

/** Whether the machine is going down in order. Without systemd whoever asks knows it. */
export async function isShuttingDown(): Promise<boolean> {
  if (!hasSystemd()) return true;
  const { stdout } = await run(['systemctl', 'is-system-running'], { okExitCodes: ANY });
  return stdout.trim() === 'stopping';
}
