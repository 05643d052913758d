/** Boots kernels of our own, with what the cases of test/cases run. */
import { integratedKernelParts } from '../../scripts/integrated/integrated-kernel.ts';
import type { SmallKernel } from '../../scripts/small-kernel/small-kernel.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import type { GuestFile } from '../support/vm/initramfs.ts';
import { testCacheDir } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';

const PROGRAMS = ['probe', 'source_route', 'sleepers', 'watcher'] as const;

export interface OwnGuest {
  readonly kernel?: SmallKernel;
  /** The program in one file. */
  readonly program: string;
  readonly append?: string;
  readonly files?: readonly GuestFile[];
}

/** `kernel` is the one with the core built in unless told. */
export async function bootOwn({ kernel, program, append, files = [] }: OwnGuest): Promise<Vm> {
  const cacheDir = testCacheDir();
  const { image } = kernel ?? integratedKernelParts(cacheDir);
  const programs = PROGRAMS.map(async (name) => ({
    path: `/bin/${name}`,
    from: await compileGuest(name, cacheDir),
    mode: 0o755,
  }));
  return await Vm.boot({
    image,
    cacheDir,
    bundle: program,
    ...(append === undefined ? {} : { append }),
    files: [...(await Promise.all(programs)), ...files],
  });
}

/** The flags of `create` for it. */
export function flagsFor({ source, config, image }: SmallKernel): readonly string[] {
  return ['--source', source, '--config', config, '--image', image];
}
