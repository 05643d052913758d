/**
 * `npm run integrated`: builds the kernel that carries the core, boots it, and puts it through the cases of test/cases.
 */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { run } from '../src/process/run.ts';
import { formatDuration } from '../src/report/format.ts';
import { reportError } from './command-line.ts';
import { buildIntegratedKernel } from './integrated/integrated-kernel.ts';

function progress(line: string): void {
  process.stderr.write(`integrated: ${line}\n`);
}

try {
  const began = performance.now();
  const { image } = await buildIntegratedKernel({
    cacheDir: cacheDir(process.env),
    jobs: cpus().length,
    onProgress: progress,
  });
  process.stdout.write(`${image}: ${formatDuration(performance.now() - began)}\n`);
  const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs');
  const { exitCode } = await run([process.execPath, vitest, 'run', '--project', 'integrated'], {
    okExitCodes: [0, 1],
    onLine: (line) => process.stdout.write(`${line}\n`),
  });
  process.exitCode = exitCode;
} catch (error) {
  process.exitCode = reportError('integrated', error);
}
