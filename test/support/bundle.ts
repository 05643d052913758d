/**
 * The tool in one file, for guests: `ksplice` in a guest is this under the guest's node.
 */
import { join } from 'node:path';
import { buildBundle as buildBundleAt } from '../../scripts/bundle.ts';

/**
 * Bundles src/cli/main.ts as it is now (half a second) and returns the file. It lies in the cache and not in
 * dist/, so that a test run does not change what `./ksplice` in the checkout runs.
 */
export async function buildBundle(cacheDir: string): Promise<string> {
  return await buildBundleAt(join(cacheDir, 'guest', 'ksplice.cjs'));
}
