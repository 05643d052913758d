/**
 * Calling kbuild, always the same way.
 *
 * What decides about code must come from the source tree and its configuration only. So variables of
 * the caller's environment that kbuild or the compiler would obey are removed, the compiler is named,
 * and what a build writes down about itself (time, user, host) is fixed: the same inputs give the
 * same bytes.
 *
 * Everything is built out of tree (O=), and the source tree is never written to: kbuild itself refuses O=
 * for a tree that was built in place.
 *
 * When we are killed, make goes on without us, while our lock on the tree is gone. So make holds a lock of its own,
 * which its children inherit: the next one waits until the last compiler of the one before has ended.
 *
 * gcc hands the assembler a file in TMPDIR. When both are ended by one signal, gcc may remove it before cc1, not yet
 * signalled, makes it: so each make has a TMPDIR of its own, which is removed when all its children are gone.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { type RunOptions, type RunResult, run } from '../process/run.ts';

/** A source tree together with the directory that it is built in. */
export interface KbuildDirs {
  /** Absolute, with no symbolic link in it. */
  readonly source: string;
  readonly buildDir: string;
  /** `6.1.0-47-cloud-amd64`. */
  readonly release: string;
  /** The compiler's command: `gcc-12`. */
  readonly cc: string;
  /** Whose package the kernel is, which Debian's Makefile writes into LINUX_PACKAGE_ID. */
  readonly distribution: Distribution | undefined;
}

export interface Distribution {
  /** `Debian`. */
  readonly name: string;
  /** `6.1.170-3`. */
  readonly version: string;
}

/** Environment variables that change what make, kbuild or gcc do. */
const influential =
  /^(?:MAKEFLAGS|MFLAGS|GNUMAKEFLAGS|MAKELEVEL|MAKEFILES|MAKEOVERRIDES|KBUILD_\w+|KCONFIG_\w+|KCFLAGS|KAFLAGS|KCPPFLAGS|KERNELRELEASE|LOCALVERSION|EXTRAVERSION|ARCH|SUBARCH|SRCARCH|CROSS_COMPILE\w*|LLVM\w*|CC|CPP|LD|AS|AR|NM|OBJCOPY|OBJDUMP|STRIP|PAHOLE|HOST\w+|[A-Z]*CFLAGS|LDFLAGS|CPPFLAGS|C|M|O|V|W|CPATH|C_INCLUDE_PATH|COMPILER_PATH|LIBRARY_PATH|GCC_EXEC_PREFIX|DEPENDENCIES_OUTPUT|SUNPRO_DEPENDENCIES|SOURCE_DATE_EPOCH)$/;

/** `argv` run without those variables; as it is where none is set. */
export function inCleanEnvironment(
  argv: readonly [string, ...string[]],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): readonly [string, ...string[]] {
  const removed = Object.keys(environment)
    .filter((name) => influential.test(name))
    .flatMap((name) => ['-u', name]);
  return removed.length === 0 ? argv : ['env', ...removed, ...argv];
}

function packageOf(distribution: Distribution | undefined): readonly string[] {
  if (distribution === undefined) return [];
  const { name, version } = distribution;
  return ['DISTRIBUTION_OFFICIAL_BUILD=1', `DISTRIBUTOR=${name}`, `DISTRIBUTION_VERSION=${version}`];
}

/** Runs make for `targets` in the build directory. Throws CommandError as `run` does. */
export async function runKbuild(
  dirs: KbuildDirs,
  targets: readonly string[],
  options: RunOptions & { readonly jobs: number },
): Promise<RunResult> {
  const { jobs, ...rest } = options;
  const own = path.join(dirs.buildDir, '.ksplice');
  await mkdir(own, { recursive: true });
  const temporary = await mkdtemp(path.join(own, 'make-'));
  try {
    return await run(
      inCleanEnvironment([
        'flock',
        path.join(own, 'make.lock'),
        'make',
        '-C',
        dirs.source,
        `-j${jobs}`,
        `O=${dirs.buildDir}`,
        `KERNELRELEASE=${dirs.release}`,
        `CC=${dirs.cc}`,
        `HOSTCC=${dirs.cc}`,
        'KBUILD_BUILD_TIMESTAMP=@0',
        'KBUILD_BUILD_USER=ksplice',
        'KBUILD_BUILD_HOST=ksplice',
        ...packageOf(dirs.distribution),
        ...targets,
      ]),
      { ...rest, env: { ...rest.env, TMPDIR: temporary } },
    );
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
