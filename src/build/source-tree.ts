import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../diagnostics/error.ts';
import { run } from '../process/run.ts';

export interface SourceTree {
  /** Absolute, with no symbolic link in it. */
  readonly root: string;
  /** `6.1.170`, from the Makefile. */
  readonly version: string;
  /** Changes when anything that the preparation of a build depends on is touched. */
  readonly fingerprint: string;
}

/**
 * Looks at a kernel source tree without writing to it.
 * Throws UsageError if it is none, or was built in place: kbuild builds such a tree only in place.
 */
export async function inspectSourceTree(directory: string): Promise<SourceTree> {
  const root = await realpath(directory).catch(() => undefined);
  const makefile =
    root === undefined
      ? undefined
      : await readFile(path.join(root, 'Makefile'), 'utf8').catch(() => undefined);
  const version = makefile === undefined ? undefined : kernelVersion(makefile);
  if (root === undefined || version === undefined) {
    throw new UsageError('usage', `${directory} is not a kernel source tree: no kernel Makefile in it`);
  }
  refuseOddPath(root);
  for (const built of ['.config', 'include/config', 'arch/x86/include/generated']) {
    if ((await stat(path.join(root, built)).catch(() => undefined)) === undefined) continue;
    throw new UsageError('usage', `${root} was built in place: ${built} is in it`, {
      hint: 'use a clean copy of the source (make mrproper cleans one, and removes its .config)',
      details: { source: root, found: built },
    });
  }
  return { root, version, fingerprint: await fingerprint(root) };
}

/**
 * Throws UsageError for a path that kbuild ("cannot contain spaces nor colons"), make or
 * -fmacro-prefix-map (`=`) would not take as one.
 */
export function refuseOddPath(directory: string): void {
  const odd = /[\s:=$#%'"\\]/.exec(directory)?.[0];
  if (odd === undefined) return;
  throw new UsageError(
    'usage',
    `${directory}: kernel code cannot be built in a path that contains ${JSON.stringify(odd)}`,
  );
}

function kernelVersion(makefile: string): string | undefined {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*=[ \\t]*(\\S*)`, 'm').exec(makefile)?.[1];
  const [major, minor, sub] = [field('VERSION'), field('PATCHLEVEL'), field('SUBLEVEL')];
  return major === undefined || minor === undefined || !makefile.includes('KBUILD_')
    ? undefined
    : `${major}.${minor}${sub === undefined || sub === '' ? '' : `.${sub}`}`;
}

/**
 * Names, sizes and times of the files that headers, tools and compile commands are made from. Units are
 * compiled anew each time, so other sources do not count: editing one must not cost a new preparation.
 */
async function fingerprint(root: string): Promise<string> {
  const { stdout } = await run(
    [
      'find',
      '.',
      '-type',
      'f',
      '(',
      ...[
        './include/*',
        './arch/x86/include/*',
        './arch/x86/entry/syscalls/*',
        './scripts/*',
        './tools/*',
      ].flatMap((pattern) => ['-path', pattern, '-o']),
      ...['Makefile*', 'Kbuild*', 'Kconfig*', 'asm-offsets*', 'bounds.c'].flatMap((pattern) => [
        '-name',
        pattern,
        '-o',
      ]),
      '-false',
      ')',
      '-printf',
      '%p %s %T@\\n',
    ],
    { cwd: root },
  );
  return createHash('sha256').update(stdout.split('\n').sort().join('\n')).digest('hex');
}
