/**
 * Ending a command and everything it started.
 *
 * `make -j` and QEMU under a wrapper have children of their own. A signal to the direct child alone leaves
 * those running, and since they hold the write ends of our pipes, the read never finishes: a timer of 300 ms
 * on `sh -c 'sleep 4 & sleep 4'` returns after four seconds. So each command leads its own process group
 * (spawn with `detached`), and signals go to the group.
 */

/** What a group gets between SIGTERM and SIGKILL, in milliseconds. */
const GRACE_MS = 2000;

/** The same, once nobody holds the command's pipes any more. */
const ORPHAN_GRACE_MS = 200;

/** Signals a whole group; false if no process of it is left. */
export function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-leader, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') {
      return false;
    }
    throw error;
  }
}

/**
 * SIGTERM, then SIGKILL for what is still there after the grace period. Resolves when the group is gone or
 * killed. `closed` resolves when the leader has exited and nobody holds its pipes any more: what remains then
 * is mostly orphans that init has not reaped yet, which look alive from here, and gets a short time only.
 */
export async function endGroup(leader: number, closed: Promise<unknown>): Promise<void> {
  signalGroup(leader, 'SIGTERM');
  let deadline = Date.now() + GRACE_MS;
  void closed.then(() => {
    deadline = Math.min(deadline, Date.now() + ORPHAN_GRACE_MS);
  });
  while (signalGroup(leader, 0)) {
    if (Date.now() >= deadline) {
      signalGroup(leader, 'SIGKILL');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * Kills the group if this process exits first (an uncaught error, `process.exit`).
 * Returns the function that takes the guard off again. Cannot help when we are killed ourselves.
 */
export function guardGroup(leader: number): () => void {
  const kill = (): void => {
    signalGroup(leader, 'SIGKILL');
  };
  // One listener for each running command: raise the limit at which Node warns of a leak.
  process.setMaxListeners(process.getMaxListeners() + 1);
  process.once('exit', kill);
  return () => {
    process.off('exit', kill);
    process.setMaxListeners(process.getMaxListeners() - 1);
  };
}
