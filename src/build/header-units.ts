/**
 * The units that a patch to headers affects, found without building the kernel.
 *
 * Compiling everything that includes a header shows it, and takes hours for a header that all include.
 * Each pass here is cheaper than the next and leaves fewer units to it: by the text of the includes, the units
 * whose closure has a patched file (no unit is missed: include-graph.ts); by the preprocessor, run with the
 * unit's own command before and after, those whose text differs in what an object is made of (live-text.ts).
 * Only they are compiled; what then has no difference in its object is dropped as for any patch.
 *
 * `__LINE__` and `__COUNTER__` are the same number everywhere here. Otherwise a line that a patch adds to a header
 * would change every WARN below it in every unit: the numbers tell where the source was, the code of
 * the kernel that runs came from the old one, and no function is replaced for them.
 */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, MissingError, RefusedError } from '../diagnostics/error.ts';
import { run } from '../process/run.ts';
import { type CompileCommand, preprocessCommand, replayCommands } from './compile-command.ts';
import { readDependencies } from './compile-unit.ts';
import type { Configuration, ConfigurationUnit } from './configuration-units.ts';
import type { IncludeGraph } from './include-graph.ts';
import { inCleanEnvironment } from './kbuild.ts';
import { dropsUnused, liveText } from './live-text.ts';
import { mapLimited } from './map-limited.ts';
import { type Refusal, specialAssembly } from './touched-files.ts';
import type { PreparedTree } from './tree.ts';

/** A unit that may include patched files, and which of them it includes by the text. */
export interface Candidate {
  readonly unit: ConfigurationUnit;
  readonly files: readonly string[];
}

/** The units whose closure has one of `files` (paths in the tree). */
export function findCandidates(
  tree: PreparedTree,
  configuration: Configuration,
  graph: IncludeGraph,
  files: readonly string[],
): readonly Candidate[] {
  const wanted = new Map(files.map((file) => [path.join(tree.source, file), file]));
  const until = new Set(wanted.keys());
  return configuration.units.flatMap((unit): Candidate[] => {
    const early = graph.closureOf(unit, until);
    if (![...until].some((file) => early.has(file))) return [];
    const closure = until.size === 1 ? early : graph.closureOf(unit);
    return [{ unit, files: [...wanted].flatMap(([file, name]) => (closure.has(file) ? [name] : [])) }];
  });
}

export interface CompareOptions {
  readonly jobs: number;
  /** A directory for the lists of what was read. */
  readonly workDir: string;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface ComparedHeaders {
  /** To be compiled. */
  readonly affected: readonly Candidate[];
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
  /** How many did not differ at all, and how many only in what they do not use. */
  readonly same: number;
  readonly unused: number;
}

/**
 * Preprocesses each candidate before and after. `mirror` is the patched tree, `patched` the paths in it.
 * Throws FormatError if one cannot be preprocessed with the patch.
 */
export async function compareCandidates(
  tree: PreparedTree,
  mirror: string,
  candidates: readonly Candidate[],
  patched: readonly string[],
  options: CompareOptions,
): Promise<ComparedHeaders> {
  let done = 0;
  const verdicts = await mapLimited(candidates, options.jobs, async (candidate) => {
    const verdict = await compareOne(tree, mirror, candidate, patched, options);
    done += 1;
    options.onProgress?.(
      `preprocessed ${candidate.unit.command.object}, ${done} of ${candidates.length} units that include the headers`,
    );
    return { candidate, verdict };
  });
  const differing = verdicts.filter(({ verdict }) => verdict === 'differs').map(({ candidate }) => candidate);
  const told = differing.map((candidate) => ({ candidate, word: wordOn(candidate) }));
  return {
    affected: told.filter(({ word }) => word.kind === 'compile').map(({ candidate }) => candidate),
    refusals: told.flatMap(({ candidate, word }) =>
      word.kind === 'refused' ? [{ file: candidate.files[0] ?? '', message: word.text }] : [],
    ),
    notes: told.flatMap(({ word }) => (word.kind === 'note' ? [word.text] : [])),
    same: verdicts.filter(({ verdict }) => verdict === 'same').length,
    unused: verdicts.filter(({ verdict }) => verdict === 'unused').length,
  };
}

async function compareOne(
  tree: PreparedTree,
  mirror: string,
  { unit }: Candidate,
  patched: readonly string[],
  options: CompareOptions,
): Promise<'same' | 'unused' | 'differs'> {
  const bases = new Set(patched.map((file) => path.basename(file)));
  const pre = await preprocess(tree, unit.command, tree.source, 'pre', options);
  const post = await preprocess(tree, unit.command, mirror, 'post', options);
  const read = await readDependencies(post.dependencies, tree.buildDir, bases);
  for (const file of patched) {
    if (!read.has(path.join(tree.source, file))) continue;
    throw new RefusedError(
      'refused',
      `${unit.command.object} includes ${file} in a way that is not followed`,
      { details: { unit: unit.command.object, file } },
    );
  }
  if (pre.text === post.text) return 'same';
  if (!unit.source.endsWith('.c') || !dropsUnused(unit.command.compiler)) return 'differs';
  return liveText(pre.text) === liveText(post.text) ? 'unused' : 'differs';
}

async function preprocess(
  tree: PreparedTree,
  command: CompileCommand,
  root: string,
  side: 'pre' | 'post',
  { workDir, signal }: CompareOptions,
): Promise<{ readonly text: string; readonly dependencies: string }> {
  const dependencies = path.join(workDir, 'preprocessed', side, `${command.object}.d`);
  await mkdir(path.dirname(dependencies), { recursive: true });
  const argv = preprocessCommand(command, tree.source, { root, dependencies });
  const { stdout, stderr, exitCode } = await run(inCleanEnvironment(argv), {
    cwd: tree.buildDir,
    okExitCodes: Array.from({ length: 256 }, (_, status) => status),
    ...(signal === undefined ? {} : { signal }),
  });
  if (exitCode !== 0) {
    const lines = stderr.replaceAll(`${root}/`, '').trimEnd().split('\n');
    const shown = lines.filter((line) => !/redefined|location of the previous/.test(line)).slice(0, 20);
    const details = { unit: command.object, output: lines };
    throw side === 'post'
      ? new FormatError(
          'compile_failed',
          `${command.object}: does not compile with the patch:\n${shown.join('\n')}`,
          { details },
        )
      : new MissingError(
          'command_failed',
          `${command.object}: does not compile before the patch:\n${shown.join('\n')}`,
          { hint: 'is this the source that the configuration belongs to?', details },
        );
  }
  return { text: stdout, dependencies };
}

type Word = { readonly kind: 'compile' } | { readonly kind: 'refused' | 'note'; readonly text: string };

/** What to do about a unit that the change of a header reaches. */
function wordOn({ unit, files }: Candidate): Word {
  const { object } = unit.command;
  const changed = files.join(', ');
  if (object.startsWith('arch/x86/entry/vdso/') && !unit.isListed) {
    return {
      kind: 'refused',
      text: `${changed} changes ${object}, part of the vDSO, which is mapped into processes: not supported`,
    };
  }
  if (/(?:^|\/)(?:asm-offsets|bounds)\.o$/.test(object)) return { kind: 'compile' };
  if (!unit.isListed) {
    return {
      kind: 'note',
      text: `${object}: keeps its old ${changed}: it is code that runs before or outside the kernel`,
    };
  }
  const special = specialAssembly(unit.source);
  if (special !== undefined) {
    return { kind: 'refused', text: `${changed} changes ${unit.source}, which ${special}: not supported` };
  }
  return { kind: 'compile' };
}

/** Whether the unit makes a header of constants (`asm-offsets.h`) that assembly and all units read. */
export function makesHeader({ unit }: Candidate): boolean {
  return !unit.isListed && /(?:^|\/)(?:asm-offsets|bounds)\.o$/.test(unit.command.object);
}

/** Compiles a unit that makes a header, before and after; what its constants are now and would be, where they differ. */
export async function differingConstants(
  tree: PreparedTree,
  mirror: string,
  { unit }: Candidate,
  { workDir, signal }: CompareOptions,
): Promise<readonly string[]> {
  const read = async (root: string, side: string): Promise<readonly string[]> => {
    const output = path.join(workDir, 'preprocessed', side, `${unit.command.object}.s`);
    const [compile] = replayCommands(unit.command, tree.source, {
      output,
      dependencies: `${output}.d`,
      root,
      flags: [],
    });
    if (compile === undefined) return [];
    const [name, ...words] = compile;
    await run(inCleanEnvironment([name, ...words.map((word) => (word === '-c' ? '-S' : word))]), {
      cwd: tree.buildDir,
      ...(signal === undefined ? {} : { signal }),
    });
    return [...(await readFile(output, 'utf8')).matchAll(/->(\w+) \$?(\S+)/g)].map(
      ([, constant = '', value = '']) => `${constant} ${value}`,
    );
  };
  const before = new Set(await read(tree.source, 'pre'));
  return (await read(mirror, 'post')).filter((line) => !before.has(line));
}
