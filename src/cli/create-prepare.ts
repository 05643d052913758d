/**
 * What every update of a kernel needs and no patch changes: the kernel's parts, a tree in which its units compile, our
 * own code compiled for it. All of it is kept in the cache, so it may be made ahead (`create --prebuild`).
 */
import { buildCoreObjects } from '../build/core-objects.ts';
import { type PreparedTree, prepareTree } from '../build/tree.ts';
import { markUsed, withCacheInUse } from './cache-use.ts';
import { checkMachine } from './create-machine.ts';
import { findKernelParts, type KernelChoice, type KernelParts } from './kernel-parts.ts';

export interface PrepareKernelOptions extends KernelChoice {
  readonly jobs: number;
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  readonly onProgress: (step: string) => void;
}

export interface PreparedKernel {
  readonly kernel: KernelParts;
  readonly tree: PreparedTree;
}

/** Gets the kernel's parts and prepares its tree, each unless it is in the cache. Hold the cache (cache-use.ts). */
export async function prepareKernel(options: PrepareKernelOptions): Promise<PreparedKernel> {
  options.onProgress('looking for the kernel, and for what compiles it');
  await checkMachine(options);
  const kernel = await findKernelParts(options, options);
  const distribution = kernel.version === null ? undefined : { name: 'Debian', version: kernel.version };
  const tree = await prepareTree({ ...options, ...kernel, distribution, symvers: kernel.headers });
  await markUsed(options.cacheDir, { ...kernel, buildDir: tree.buildDir });
  return { kernel, tree };
}

/** Everything that can be done before there is a patch; nothing but the cache is written to. */
export async function prebuildKernel(
  options: PrepareKernelOptions & { readonly coreSources: string },
): Promise<PreparedKernel> {
  return await withCacheInUse(options, async () => {
    const prepared = await prepareKernel(options);
    await buildCoreObjects({ ...options, tree: prepared.tree });
    return prepared;
  });
}
