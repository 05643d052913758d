/**
 * `npm run package`: build/package/ksplice, the single-file executable, and the Debian package with it.
 *
 * The same commit, built with the same Node, gives the same bytes: all times are that of the commit, or SOURCE_DATE_EPOCH.
 */
import { mkdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { VERSION } from '../src/cli/version.ts';
import { buildDeb } from '../src/packages/build-deb.ts';
import { run } from '../src/process/run.ts';
import { formatSize } from '../src/report/format.ts';
import { reportError } from './command-line.ts';
import { buildExecutable } from './package/executable.ts';
import { toolPackage } from './package/tool-package.ts';

const ROOT = resolve(import.meta.dirname, '..');

async function commitTime(): Promise<number> {
  const given = Number(process.env['SOURCE_DATE_EPOCH']);
  if (Number.isInteger(given) && given > 0) return given;
  const { stdout } = await run(['git', '-C', ROOT, 'log', '-1', '--format=%ct']);
  return Number(stdout.trim());
}

/** Builds both in `folder`; returns their paths. `compression`: of xz, 0 to 9. */
export async function buildPackage(
  folder: string,
  compression = 6,
): Promise<{ readonly executable: string; readonly deb: string }> {
  await mkdir(folder, { recursive: true });
  const executable = join(folder, 'ksplice');
  const deb = join(folder, `ksplice_${VERSION}_amd64.deb`);
  await buildExecutable(executable);
  await buildDeb(toolPackage(executable, await commitTime(), compression), deb);
  return { executable, deb };
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === import.meta.filename) {
  try {
    for (const file of Object.values(await buildPackage(join(ROOT, 'build', 'package')))) {
      process.stdout.write(`${file}: ${formatSize((await stat(file)).size)}\n`);
    }
  } catch (error) {
    process.exitCode = reportError('package', error);
  }
}
