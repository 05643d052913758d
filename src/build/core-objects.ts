/**
 * Compiles our own kernel code for one kernel: the core, the stub that every update module contains, and the one that it
 * contains where the kernel's own livepatch switches it.
 *
 * An update file carries them as objects, because the machine that it is applied on has no compiler. They
 * are made by kbuild as an external module's parts are (module code, the kernel's own flags and headers,
 * objtool), from a copy of the sources in the build directory. modpost has no part in it: what it would add
 * is in the sources (this_module.h) or comes from the linker on the machine.
 */
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InternalError, UsageError } from '../diagnostics/error.ts';
import { CommandError } from '../process/command-error.ts';
import { withFileLock } from '../process/file-lock.ts';
import { run } from '../process/run.ts';
import { inCleanEnvironment, runKbuild } from './kbuild.ts';
import type { PreparedTree } from './tree.ts';

export interface CoreObjectsOptions {
  readonly tree: PreparedTree;
  /** The directory of the core's sources, with its Kbuild file. */
  readonly coreSources: string;
  readonly jobs?: number;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface CoreObjects {
  /** Relocatable object of the whole core. */
  readonly core: Uint8Array;
  /** Relocatable object with `struct module` and what else is the same in every update. */
  readonly stub: Uint8Array;
  /** The stub for the kernel's livepatch; undefined for a kernel without it (CONFIG_LIVEPATCH). */
  readonly livepatch: Uint8Array | undefined;
  /** What the kernel's loader compares: `6.1.0-47-cloud-amd64 SMP preempt mod_unload modversions `. */
  readonly vermagic: string;
}

/** The names in the Kbuild file whose `-objs` are linked to one object each. */
const CORE = 'ksplice';
const STUB = 'ksplice_update';
const LIVEPATCH = 'ksplice_livepatch';

/**
 * Compiles (or finds compiled) the core and the stub for the kernel of `tree`.
 * Throws UsageError if `coreSources` is not what it should be,
 * InternalError if our own code does not compile.
 */
export async function buildCoreObjects(options: CoreObjectsOptions): Promise<CoreObjects> {
  const { tree } = options;
  const hash = await hashSources(options.coreSources);
  const directory = path.join(tree.buildDir, '.ksplice', 'core', hash);
  if ((await stat(directory).catch(() => undefined)) === undefined) {
    await withFileLock(
      tree.lockFile,
      async () => {
        if ((await stat(directory).catch(() => undefined)) === undefined) await compile(options, directory);
      },
      {
        wait: true,
        busyCode: 'apply_in_progress',
        onWait: () => options.onProgress?.('waiting for another ksplice that builds in the same tree'),
        signal: options.signal,
      },
    );
  }
  const [core, stub, livepatch] = await Promise.all([
    readFile(path.join(directory, 'core.o')),
    readFile(path.join(directory, 'stub.o')),
    hasLivepatch(tree) ? readFile(path.join(directory, 'livepatch.o')) : undefined,
  ]);
  return { core, stub, livepatch, vermagic: findVermagic(stub) };
}

function hasLivepatch({ config }: PreparedTree): boolean {
  return config.get('LIVEPATCH') === 'y';
}

/** Makes core.o, stub.o and livepatch.o in a directory beside `directory`, which then takes its name: whole or not. */
async function compile(options: CoreObjectsOptions, directory: string): Promise<void> {
  const { tree, onProgress, signal } = options;
  onProgress?.('compiling the core for this kernel');
  const work = `${directory}.new`;
  await rm(work, { recursive: true, force: true });
  await mkdir(path.dirname(work), { recursive: true });
  // A link to the sources would be copied as a link, and the build would write through it.
  const sources = await realpath(options.coreSources).catch(() => options.coreSources);
  await cp(sources, work, { recursive: true, filter: isSource });
  const kbuild = path.join(work, 'Kbuild');
  const text = await readFile(kbuild, 'utf8').catch((cause: unknown) => {
    throw new UsageError('usage', `${options.coreSources}: no Kbuild file of the core in it`, { cause });
  });
  const outputs = [
    { name: CORE, file: 'core.o' },
    { name: STUB, file: 'stub.o' },
    ...(hasLivepatch(tree) ? [{ name: LIVEPATCH, file: 'livepatch.o' }] : []),
  ].map((output) => ({ ...output, parts: partsOf(text, output.name) }));
  for (const { name, parts } of outputs) {
    if (parts.length > 0) continue;
    throw new UsageError('usage', `${options.coreSources}/Kbuild: no ${name}-objs`);
  }
  // No debug information, and no name of this directory in `__FILE__`: the same sources, the same bytes.
  await writeFile(kbuild, `${text}\nccflags-y += -g0 -fmacro-prefix-map=${work}/=core/\n`);
  const targets = outputs.flatMap(({ parts }) => parts);
  const parts = targets.map((part) => path.join(work, part));
  try {
    await runKbuild(tree, [`M=${work}`, ...targets], {
      jobs: options.jobs ?? 1,
      logFile: tree.logFile,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    throw compileFailure(error, work, tree.logFile);
  }
  for (const part of parts) {
    if ((await stat(part).catch(() => undefined)) === undefined) {
      throw new InternalError('unexpected', `core/${path.relative(work, part)} was not made by kbuild`);
    }
  }
  for (const output of outputs) await join(tree, work, output.parts, output.file);
  await rename(work, directory);
}

async function join(
  tree: PreparedTree,
  work: string,
  parts: readonly string[],
  output: string,
): Promise<void> {
  await run(
    inCleanEnvironment(['ld', '-m', 'elf_x86_64', '-z', 'noexecstack', '-r', '-o', output, ...parts]),
    { cwd: work, logFile: tree.logFile },
  );
}

/** `NAME-objs := a.o b.o`, continued lines and `+=` included. */
function partsOf(kbuild: string, name: string): readonly string[] {
  const text = kbuild.replaceAll('\\\n', ' ');
  return [...text.matchAll(new RegExp(`^${name}-(?:objs|y)\\s*[:+]?=\\s*(.*)$`, 'gm'))].flatMap((found) =>
    (found[1] ?? '').split(/\s+/).filter((word) => word.endsWith('.o')),
  );
}

/** What counts: sources and the Kbuild file, whatever else lies around (objects of a build by hand). */
function isSource(file: string): boolean {
  const base = path.basename(file);
  return !base.startsWith('.') && (/\.[chS]$|^Kbuild$/.test(base) || !base.includes('.'));
}

/** Over names and contents; the directory of the tree stands for kernel and compiler. */
async function hashSources(directory: string): Promise<string> {
  const names = await readdir(directory, { recursive: true }).catch((cause: unknown) => {
    throw new UsageError('usage', `cannot read the core's sources in ${directory}`, { cause });
  });
  const hash = createHash('sha256');
  for (const name of names.filter(isSource).sort()) {
    const bytes = await readFile(path.join(directory, name)).catch(() => undefined);
    if (bytes !== undefined) hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex').slice(0, 16);
}

function compileFailure(error: unknown, work: string, logFile: string): unknown {
  if (!(error instanceof CommandError) || error.code !== 'command_failed') return error;
  const lines = error.stderrTail.map((line) => line.replaceAll(`${work}/`, 'core/'));
  const first = lines.find((line) => line.includes('error:')) ?? error.message;
  return new InternalError('unexpected', `the core does not compile for this kernel: ${first}`, {
    hint: `the whole output is in ${logFile}`,
    details: { output: lines },
    cause: error,
  });
}

/** `.modinfo` is a list of strings `key=value`, each ended by a NUL. */
function findVermagic(object: Uint8Array): string {
  const bytes = Buffer.from(object.buffer, object.byteOffset, object.byteLength);
  const key = '\0vermagic=';
  const at = bytes.indexOf(key);
  // The first string of the section has the end of another section, or padding, before it.
  const start = at >= 0 ? at + key.length : bytes.indexOf('vermagic=') + key.length - 1;
  if (start < key.length - 1) throw new InternalError('unexpected', 'the stub has no vermagic');
  return bytes.subarray(start, bytes.indexOf(0, start)).toString('latin1');
}
