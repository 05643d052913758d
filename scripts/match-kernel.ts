/**
 * `npm run match-kernel -- --dir net/ipv4 --dir kernel --dir 'fs/*.c'`: the proof for a whole kernel, or for whole
 * directories of it. Compiles every unit, matches each with the image and with a running kernel, and counts against the
 * kernel's own list of functions.
 */
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { LostVmError } from '../test/support/vm/lost-vm-error.ts';
import { reportError } from './command-line.ts';
import { prepareDebianTree } from './kbuild/debian-tree.ts';
import { openAtRest } from './match-kernel/at-rest.ts';
import { compileDirectories } from './match-kernel/compile-directories.ts';
import { figuresText, measureFigures } from './match-kernel/figures.ts';
import { matchRunning } from './match-kernel/match-running.ts';
import { matchUnits } from './match-kernel/match-units.ts';
import { parseOptions, USAGE } from './match-kernel/options.ts';
import { isProven, matchRunText } from './match-kernel/report.ts';

function progress(line: string): void {
  process.stderr.write(`match-kernel: ${line}\n`);
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { directories, release, jobs, running, figures, append } = options;
  const cache = cacheDir(process.env);

  // Every unit that these directories have in this configuration.
  const debian = await debianSources(release, { cacheDir: cache, onProgress: progress });
  const tree = await prepareDebianTree(debian, { cacheDir: cache, jobs, onProgress: progress });
  const { units, failures } = await compileDirectories(tree, directories, { jobs, onProgress: progress });
  for (const failure of failures) process.stdout.write(`NOT COMPILED ${failure}\n`);

  // The kernel as it was linked.
  const atRest = await openAtRest(debian.image, debian.modules, units);
  const restRun = await matchUnits(units, atRest);
  process.stdout.write(`${restRun.release} at rest\n${matchRunText(restRun)}`);

  // How long that takes, for few units and for many; after the first pass, so that its start-up is not in it.
  if (figures) process.stdout.write(figuresText(await measureFigures(units, atRest)));

  // The same kernel, booted: now with all that it has rewritten.
  let isRunningProven = true;
  if (running) {
    const run = await matchRunning(debian, units, { cacheDir: cache, append, onProgress: progress });
    process.stdout.write(`${run.release} running\n${matchRunText(run)}`);
    isRunningProven = isProven(run);
  }
  return failures.length === 0 && isProven(restRun) && isRunningProven ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof LostVmError) {
    progress(error.message);
    process.exitCode = 70;
  } else {
    process.exitCode = reportError('match-kernel', error);
  }
}
