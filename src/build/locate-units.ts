/**
 * Which unit a source file is, in this configuration, and how it is compiled.
 *
 * Only kbuild knows: object lists are make variables, built up through the Makefiles of all directories
 * above. It is asked what it would do (dry-run.ts); where it would make more than the object, it has to do it.
 * Asked for `PATH.o` it compiles the file even where no list has it, so compiling is no answer. But a
 * message that it prints before it compiles can be replaced from the command line, and is expanded in
 * the very place where the lists are known: there it is asked whether the object is in one of them.
 *
 * Answers are kept beside the tree (known-units.ts).
 */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';
import { withFileLock } from '../process/file-lock.ts';
import { type CompileCommand, inModule, parseCommandFile } from './compile-command.ts';
import { dryRunArguments, readDryRun } from './dry-run.ts';
import { runKbuild } from './kbuild.ts';
import { type KnownUnit, readKnownUnit, writeKnownUnit } from './known-units.ts';
import type { PreparedTree } from './tree.ts';

export type UnitPlace =
  /** Part of vmlinux, or of the module that its command names. */
  | { readonly kind: 'unit'; readonly command: CompileCommand }
  /** Not in this configuration. */
  | { readonly kind: 'absent' };

export interface LocateOptions {
  readonly jobs: number;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Printed in place of `  CC      fs/pipe.o`. `real-obj-y` has what vmlinux is made of, `real-obj-m` what
 * modules are made of (composite ones taken apart), `lib-y` what goes into the archives that vmlinux is
 * linked with.
 */
const question = 'KSPLICE-UNIT $@ $(if $(filter $@,$(real-obj-y) $(real-obj-m) $(lib-y)),listed,unlisted)';

/** The assembler's command does not name the module, so it is asked for, too. */
const questions = [`quiet_cmd_cc_o_c=${question}`, `quiet_cmd_as_o_S=${question} $(modname)`];

/** The object of a source file: `fs/pipe.c` to `fs/pipe.o`. */
export function objectOf(source: string): string {
  return source.replace(/\.[cS]$/, '.o');
}

/**
 * Finds all `sources` (paths in the tree, `.c` or `.S`).
 * Throws MissingError if a unit of this configuration does not compile as it is.
 */
export async function locateUnits(
  tree: PreparedTree,
  sources: readonly string[],
  options: LocateOptions,
): Promise<ReadonlyMap<string, UnitPlace>> {
  const places = new Map<string, UnitPlace>();
  const recall = async (): Promise<readonly string[]> => {
    const unknown: string[] = [];
    for (const source of sources) {
      const known = await readKnownUnit(tree.buildDir, source);
      if (known === undefined) unknown.push(source);
      else places.set(source, placeOf(source, known));
    }
    return unknown;
  };
  if ((await recall()).length > 0) {
    await withFileLock(
      tree.lockFile,
      async () => {
        const unknown = await recall();
        const open = await askDry(tree, unknown, options);
        for (const group of inGroups(open, options.jobs)) await askKbuild(tree, group, options);
      },
      {
        wait: true,
        busyCode: 'apply_in_progress',
        onWait: () => options.onProgress?.('waiting for another ksplice that builds in the same tree'),
        signal: options.signal,
      },
    );
    await recall();
  }
  return places;
}

/** Asks without anything being compiled (dry-run.ts); returns those sources that are still open. */
async function askDry(
  tree: PreparedTree,
  sources: readonly string[],
  options: LocateOptions,
): Promise<readonly string[]> {
  if (sources.length === 0) return [];
  tellAsking(sources, options);
  const objects = sources.map(objectOf);
  const { stdout } = await runKbuild(tree, [...dryRunArguments, ...objects], {
    jobs: 1,
    okExitCodes: [0, 1, 2],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const answers = readDryRun(stdout, objects);
  const open: string[] = [];
  for (const source of sources) {
    const answer = answers.get(objectOf(source));
    if (answer === undefined) open.push(source);
    else {
      const command = answer.isListed ? answer.command : undefined;
      await writeKnownUnit(tree.buildDir, source, { command, module: answer.module });
    }
  }
  return open;
}

function tellAsking(sources: readonly string[], { onProgress }: LocateOptions): void {
  const what = sources.length === 1 ? (sources[0] ?? '') : `${sources.length} files`;
  onProgress?.(`asking kbuild about ${what}`);
}

/**
 * kbuild can be asked about files in arch/ one after the other only (askKbuild says why). A second call takes about
 * a second, as long as a file does: with a few other files it pays to have them compiled at once.
 */
export function inGroups(sources: readonly string[], jobs: number): readonly (readonly string[])[] {
  const slow = sources.filter(isReachedTwice);
  const others = sources.filter((source) => !isReachedTwice(source));
  const groups = others.length > 2 && jobs > 1 ? [slow, others] : [sources];
  return groups.filter((group) => group.length > 0);
}

function isReachedTwice(source: string): boolean {
  return source.startsWith('arch/');
}

async function askKbuild(
  tree: PreparedTree,
  sources: readonly string[],
  options: LocateOptions,
): Promise<void> {
  tellAsking(sources, options);
  const objects = sources.map(objectOf);
  // What is up to date would not be compiled, and so nothing printed about it.
  for (const object of objects) {
    await rm(path.join(tree.buildDir, object), { force: true });
    await rm(commandFile(tree, object), { force: true });
  }
  // kbuild comes to arch/x86/lib from the Makefile above it, which does not list the object, and from its own: two
  // compilations of one object. One after the other, the second is the one that counts, as is its command.
  const answers = new Map<string, { readonly list: string; readonly module: string | undefined }>();
  const result = await runKbuild(tree, ['--keep-going', ...questions, 'V=0', ...objects], {
    jobs: sources.some(isReachedTwice) ? 1 : options.jobs,
    logFile: tree.logFile,
    okExitCodes: [0, 1, 2],
    onLine: (line) => {
      const [, object, list, module] = /^\s*KSPLICE-UNIT (\S+) (\S+)(?: (\S+))?\s*$/.exec(line) ?? [];
      if (object !== undefined && list !== undefined) answers.set(object, { list, module });
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  for (const source of sources) {
    const object = objectOf(source);
    const text = await readFile(commandFile(tree, object), 'utf8').catch(() => undefined);
    const answer = answers.get(object);
    const isListed = answer?.list === 'listed';
    if (answer === undefined && !result.stderr.includes(`No rule to make target '${object}'`)) {
      throw notCompiled(tree, source, result.stderr, 'kbuild said nothing about it');
    }
    if (isListed && text === undefined)
      throw notCompiled(tree, source, result.stderr, 'it does not compile as it is');
    const command = isListed ? text?.split('\n')[0] : undefined;
    await writeKnownUnit(tree.buildDir, source, { command, module: answer?.module });
  }
}

function notCompiled(tree: PreparedTree, source: string, output: string, reason: string): MissingError {
  const lines = output
    .split('\n')
    .filter((line) => line.includes(source.slice(0, -2)) || /error:/.test(line));
  return new MissingError(
    'command_failed',
    `${source}: ${reason}${lines[0] === undefined ? '' : `: ${lines[0].trim()}`}`,
    {
      hint: `this is the source before the patch; the whole output is in ${tree.logFile}`,
      details: { source, output: lines.slice(0, 40) },
    },
  );
}

function placeOf(source: string, known: KnownUnit): UnitPlace {
  if (known.command === undefined) return { kind: 'absent' };
  const command = parseCommandFile(known.command, objectOf(source));
  if (command === undefined) return { kind: 'absent' };
  return { kind: 'unit', command: known.module === undefined ? command : inModule(command, known.module) };
}

/** `fs/pipe.o` to `BUILD/fs/.pipe.o.cmd`. */
function commandFile(tree: PreparedTree, object: string): string {
  return path.join(tree.buildDir, path.dirname(object), `.${path.basename(object)}.cmd`);
}
