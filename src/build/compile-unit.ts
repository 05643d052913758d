import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, MissingError } from '../diagnostics/error.ts';
import type { SourceFunction } from '../elf/source-functions.ts';
import type { LayoutPool, TypeLayouts } from '../elf/type-layouts.ts';
import { run } from '../process/run.ts';
import { type CompileCommand, replayCommands } from './compile-command.ts';
import {
  type DebugInformation,
  debugFlags,
  keepSourceLines,
  takeDebugInformation,
} from './debug-information.ts';
import { inCleanEnvironment } from './kbuild.ts';
import type { PreparedTree } from './tree.ts';

/** One object to make. */
export interface UnitBuild {
  readonly command: CompileCommand;
  /** The tree to take sources from: the original, or a mirror of it. */
  readonly root: string;
  /** `pre` compiles what the distributor compiled, `post` what the patch made of it. */
  readonly side: 'pre' | 'post';
  readonly flags: readonly string[];
  /** Where the layouts of its types go; undefined if nothing but source lines is wanted. */
  readonly types: LayoutPool | undefined;
  /** The object's path without `.o`; the list of dependencies goes beside it. */
  readonly output: string;
}

export interface UnitObject {
  readonly bytes: Uint8Array;
  /** Real paths of all files that the compiler read. */
  readonly dependencies: ReadonlySet<string>;
  /** Empty if they were not wanted. */
  readonly types: TypeLayouts;
  /** Where the functions in it are defined, inlined ones too; empty if not wanted. */
  readonly functions: readonly SourceFunction[];
}

const MESSAGE_LINES = 20;

/** A function or an object in a section of its own: what differencing needs. */
export const sectionFlags = ['-ffunction-sections', '-fdata-sections'] as const;

/**
 * Compiles a unit, objtool's pass included.
 * Throws FormatError `compile_failed` for the post side, MissingError for the pre side.
 */
export async function compileUnit(
  tree: PreparedTree,
  build: UnitBuild,
  signal?: AbortSignal,
): Promise<UnitObject> {
  const output = `${build.output}.o`;
  const list = `${build.output}.d`;
  const commands = replayCommands(build.command, tree.source, {
    output,
    dependencies: list,
    root: build.root,
    flags: [...build.flags, ...debugFlags(tree, build.root, build.types === undefined ? 'lines' : 'types')],
  });
  for (const command of commands) {
    const result = await run(inCleanEnvironment(command), {
      cwd: tree.buildDir,
      // What the compiler hands the assembler goes with the rest of the work, however both end.
      env: { TMPDIR: path.dirname(output) },
      okExitCodes: Array.from({ length: 256 }, (_, status) => status),
      ...(signal === undefined ? {} : { signal }),
    });
    if (result.exitCode !== 0) throw compileFailure(build, result.stderr, result.exitCode);
  }
  const { types, functions } = await readAndStrip(output, build, signal);
  const dependencies = await readDependencies(list, tree.buildDir);
  return { bytes: await readFile(output), dependencies, types, functions };
}

/** What was wanted of the debug information; of it nothing but source lines stays in the object. */
async function readAndStrip(
  object: string,
  { types, command }: UnitBuild,
  signal: AbortSignal | undefined,
): Promise<DebugInformation> {
  const isAssembly = command.compiler.some((word) => word.endsWith('.S'));
  if (types !== undefined) return await takeDebugInformation(object, types, isAssembly, signal);
  await keepSourceLines(object, signal);
  return { types: new Map(), functions: [] };
}

/** The compiler's own words, with the paths that the author knows. */
function compileFailure(build: UnitBuild, stderr: string, status: number): FormatError | MissingError {
  const unit = build.command.object;
  const lines = stderr.replaceAll(`${build.root}/`, '').trimEnd().split('\n');
  const shown = lines.slice(0, MESSAGE_LINES).join('\n');
  const text = shown === '' ? `exit status ${status}` : shown;
  const details = { unit, output: lines };
  return build.side === 'post'
    ? new FormatError('compile_failed', `${unit}: does not compile with the patch:\n${text}`, { details })
    : new MissingError('command_failed', `${unit}: does not compile before the patch:\n${text}`, {
        hint: 'is this the source that the configuration belongs to?',
        details,
      });
}

/**
 * Reads a make rule `x.o: a.c b.h \\`, as gcc writes it; real paths. With `bases`, only of files that have
 * one of these names.
 */
export async function readDependencies(
  list: string,
  cwd: string,
  bases?: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const text = (await readFile(list, 'utf8')).replaceAll('\\\n', ' ');
  const names = text
    .slice(text.indexOf(': ') + 2)
    .split(/\s+/)
    .filter((name) => name !== '' && (bases === undefined || bases.has(path.basename(name))));
  // `link/../x.h` is not what path.resolve() makes of it: only the file system knows where the link leads.
  const absolute = names.map((name) => (path.isAbsolute(name) ? name : `${cwd}/${name}`));
  const real = await Promise.all(absolute.map((name) => realpath(name).catch(() => name)));
  return new Set(real);
}
