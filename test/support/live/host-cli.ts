/**
 * The tool as a person runs it on this machine: its bundle, as a subprocess.
 *
 * The bundle lies below the checkout, because `create` looks for the core's sources beside the program and above
 * it; not as dist/ksplice.cjs, because a test run must not change what `./ksplice` runs.
 */
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBundle } from '../../../scripts/bundle.ts';
import { run } from '../../../src/process/run.ts';

export const CHECKOUT: string = resolve(fileURLToPath(new URL('../../../', import.meta.url)));

export interface CliOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const ANY_STATUS = Array.from({ length: 256 }, (_, status) => status);

/** Bundles the sources as they are now (half a second) and returns the program. */
export async function hostBundle(): Promise<string> {
  return await buildBundle(join(CHECKOUT, 'dist', 'test', 'ksplice.cjs'));
}

/** Runs `ksplice ARGS` and returns how it went, whatever its exit status. */
export async function hostKsplice(
  bundle: string,
  args: readonly string[],
  cwd: string = CHECKOUT,
): Promise<CliOutcome> {
  return await run([process.execPath, bundle, ...args], { cwd, okExitCodes: ANY_STATUS });
}
