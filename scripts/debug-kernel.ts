/** `npm run debug-kernel`: builds the kernel that `npm run torture -- --debug-kernel` boots. */
import { cpus } from 'node:os';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { formatDuration } from '../src/report/format.ts';
import { reportError } from './command-line.ts';
import { buildDebugKernel } from './debug-kernel/debug-kernel.ts';

function progress(line: string): void {
  process.stderr.write(`debug-kernel: ${line}\n`);
}

try {
  const began = performance.now();
  const { image } = await buildDebugKernel({
    cacheDir: cacheDir(process.env),
    jobs: cpus().length,
    onProgress: progress,
  });
  process.stdout.write(`${image}: ${formatDuration(performance.now() - began)}\n`);
} catch (error) {
  process.exitCode = reportError('debug-kernel', error);
}
