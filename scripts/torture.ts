/**
 * `npm run torture -- [--seed N] [--minutes N] [--cycles N] [--cpus N]`: an update of functions that everything calls, loaded,
 * applied, undone and unloaded a thousand times in a guest under load, by one process. Nothing may be lost, nothing
 * may be left, the kernel may have nothing to say.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { LostVmError } from '../test/support/vm/lost-vm-error.ts';
import { reportError } from './command-line.ts';
import { debugKernelParts } from './debug-kernel/debug-kernel.ts';
import { injectFaults } from './torture/faults.ts';
import { hotUpdate } from './torture/hot-update.ts';
import { FEW_STRESSORS, STRESSORS } from './torture/load.ts';
import { parseOptions, USAGE } from './torture/options.ts';
import { tortureGuest } from './torture/torture-guest.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
/** Seconds that memory is watched for, before and after. */
const SAMPLES = 60;

function progress(line: string): void {
  process.stderr.write(`torture: ${line}\n`);
}

/** The image to boot, and how `create` is told which kernel it is. */
async function kernelOf(
  debugKernel: boolean,
  cache: string,
): Promise<{ readonly image: string; readonly flags: readonly string[] }> {
  if (!debugKernel) {
    const { image } = await debianSources(RELEASE, {
      cacheDir: cache,
      parts: ['image'],
      onProgress: progress,
    });
    return { image, flags: ['--kernel', RELEASE] };
  }
  const { source, config, image } = debugKernelParts(cache);
  return { image, flags: ['--source', source, '--config', config, '--image', image] };
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  const cache = cacheDir(process.env);
  const kernel = await kernelOf(options.debugKernel, cache);
  const update = await hotUpdate({ kernel: kernel.flags, cacheDir: cache, onProgress: progress });
  const logs = join(cache, 'torture');
  await mkdir(logs, { recursive: true });
  const { seed, cycles, minutes, threads } = options;
  const stressors = options.debugKernel ? FEW_STRESSORS : STRESSORS;
  const load = options.load ? { load: { threads, stressors } } : {};
  let ok = true;
  if (options.debugKernel) {
    const transcript = join(logs, 'console-faults.log');
    progress(`every allocation fails once; the console goes to ${transcript}`);
    const verdict = await injectFaults({
      image: kernel.image,
      update,
      cacheDir: cache,
      onProgress: progress,
      transcript,
    });
    process.stdout.write(`${['failed allocations', ...verdict.lines].join('\n  ')}\n`);
    ok = verdict.ok;
  }
  for (const cpus of options.cpus) {
    const transcript = join(logs, `console-${cpus}-cpus.log`);
    progress(`${cpus} CPUs, seed ${seed}; the console goes to ${transcript}`);
    const verdict = await tortureGuest({
      image: kernel.image,
      update,
      cacheDir: cache,
      cpus,
      order: { seed, cycles, minutes, samples: SAMPLES },
      ...load,
      keepsFreed: options.debugKernel,
      onProgress: progress,
      transcript,
    });
    process.stdout.write(`${[`${cpus} CPUs, seed ${seed}`, ...verdict.lines].join('\n  ')}\n`);
    ok &&= verdict.ok;
  }
  return ok ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LostVmError)) process.exitCode = reportError('torture', error);
  else {
    progress(error.message);
    process.exitCode = 70;
  }
}
