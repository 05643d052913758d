import { cpus } from 'node:os';
import { type PreparedTree, prepareTree } from '../../src/build/tree.ts';
import type { DebianKernel } from '../../src/debian/debian-sources.ts';

export interface DebianTreeOptions {
  readonly cacheDir: string;
  /** Processors to use; all of this machine's unless told. */
  readonly jobs?: number;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** The prepared tree of one of Debian's kernels: the one that `ksplice create --kernel RELEASE` uses. */
export async function prepareDebianTree(
  kernel: DebianKernel,
  options: DebianTreeOptions,
): Promise<PreparedTree> {
  const { source, config, release, headers, version } = kernel;
  return await prepareTree({
    jobs: cpus().length,
    ...options,
    source,
    config,
    release,
    symvers: headers,
    // Debian compiles its package's version into the kernel.
    distribution: { name: 'Debian', version },
  });
}
