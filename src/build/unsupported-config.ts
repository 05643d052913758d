/**
 * Configurations under which an object file is not what ends up in the kernel, or differs from build to build.
 *
 * Compiling one unit tells what runs only if its object is final: objtool must run on each object, and no
 * later step may rewrite code. That is not so with IBT or LTO, where objtool runs on the whole kernel
 * (scripts/Makefile.build, delay-objtool); and a plugin that adds randomness gives other code each time.
 */
import { RefusedError } from '../diagnostics/error.ts';
import type { KernelConfig } from './kernel-config.ts';

const unsupported: readonly (readonly [option: string, why: string])[] = [
  ['X86_KERNEL_IBT', 'objtool rewrites the whole kernel at once'],
  ['LTO_CLANG', 'code is generated when the whole kernel is linked'],
  ['CFI_CLANG', 'indirect calls carry hashes that this version does not know'],
  ['CC_IS_CLANG', 'this version builds with gcc only'],
  ['GCC_PLUGIN_LATENT_ENTROPY', 'each build has other code'],
  ['RANDSTRUCT', 'the order of fields is secret to the distributor'],
];

/** Throws RefusedError naming every option that speaks against it. */
export function refuseUnsupportedConfig(config: KernelConfig, file: string): void {
  const found = unsupported.filter(([option]) => config.get(option) === 'y');
  if (found.length === 0) return;
  const reasons = found.map(([option, why]) => `CONFIG_${option}=y: ${why}`).join('; ');
  throw new RefusedError('refused', `${file}: no updates for such a kernel: ${reasons}`, {
    hint: 'an update needs a kernel whose object files are final as the compiler and objtool leave them',
    details: { options: found.map(([option]) => option) },
  });
}
