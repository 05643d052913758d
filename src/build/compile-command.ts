/**
 * The command by which kbuild makes a unit, and how it is run again without kbuild.
 *
 * kbuild takes seconds to find out that one file wants compiling, and gcc less than that to do it. So the
 * command is taken once from the `.NAME.o.cmd` file that kbuild leaves beside an object, and from then
 * on replayed with other outputs, sources and flags. It has two parts: the compiler, and objtool, which
 * rewrites the object (ORC unwind tables, return and retpoline sites, static calls); both are run each time.
 *
 * Debug information is left out (-g0): it is most of an object's size and none of its code. gcc promises
 * that -g changes no code (-fcompare-debug tests that), objtool reads none of it, and a promise broken
 * would show when the unit is matched with the kernel.
 */
import { InternalError, RefusedError } from '../diagnostics/error.ts';
import { splitCommands } from './shell-words.ts';

export interface CompileCommand {
  /** Object that kbuild would make, relative to the build directory: `net/ipv4/ip_options.o`. */
  readonly object: string;
  /** The compiler's arguments, its name first, from the build directory. */
  readonly compiler: readonly string[];
  /** objtool's arguments, without the object; undefined where kbuild does not run it. */
  readonly objtool: readonly string[] | undefined;
  /** The module that the unit is part of; undefined for what is built in. */
  readonly module: string | undefined;
}

/** What differs in a replay. Paths are absolute. */
export interface Replay {
  readonly output: string;
  /** The list of files that the compiler read, as a make rule. */
  readonly dependencies: string;
  /** Replaces the source tree's root in all arguments. */
  readonly root: string;
  /** Added after all other flags. */
  readonly flags: readonly string[];
}

/**
 * Reads the command line that kbuild recorded: `cmd_x.o := ...`, or `savedcmd_x.o := ...` since the
 * kernel commit "kbuild: rename cmd_$@ to savedcmd_$@ in *.cmd files".
 * Undefined if `text` holds none for `object`.
 */
export function parseCommandFile(text: string, object: string): CompileCommand | undefined {
  for (const line of text.split('\n')) {
    const found = /^(?:saved)?cmd_(\S+) := (.*)$/.exec(line);
    if (found?.[1] !== object || found[2] === undefined) continue;
    return parseCompileCommand(found[2].replaceAll('$(pound)', '#').replaceAll('$$', '$'), object);
  }
  return undefined;
}

function parseCompileCommand(line: string, object: string): CompileCommand {
  const commands = splitCommands(line);
  const [compiler, objtool, ...more] = commands ?? [];
  const isKnown =
    compiler !== undefined &&
    more.length === 0 &&
    compiler.includes('-c') &&
    compiler[compiler.indexOf('-o') + 1] === object &&
    (objtool === undefined ||
      (objtool[0]?.endsWith('/objtool') === true && objtool.filter((word) => word === object).length === 1));
  if (!isKnown) {
    throw new RefusedError('refused', `${object}: kbuild compiles it in a way that is not understood`, {
      details: { object, command: line },
    });
  }
  return {
    object,
    compiler,
    objtool: objtool?.filter((word) => word !== object),
    module: compiler.includes('-DMODULE') ? moduleName(compiler) : undefined,
  };
}

/**
 * The command with the module's name from kbuild's $(modname), `sha256-ssse3`: the assembler's command says that it
 * is for a module, and not for which. Unchanged for what is built in.
 */
export function inModule(command: CompileCommand, name: string): CompileCommand {
  // As Makefile.lib makes KBUILD_MODNAME of it.
  return command.module === undefined ? command : { ...command, module: name.replace(/[-,]/g, '_') };
}

function moduleName(compiler: readonly string[]): string {
  const definition = compiler.find((word) => word.startsWith('-DKBUILD_MODNAME='));
  return definition?.slice('-DKBUILD_MODNAME='.length).replaceAll('"', '') ?? 'unknown';
}

/**
 * The commands, to be run in the build directory one after the other, that make `replay.output` from the
 * source under `replay.root`. `source` is the root of the tree that the command was recorded for.
 */
export function replayCommands(
  command: CompileCommand,
  source: string,
  replay: Replay,
): readonly (readonly [string, ...string[]])[] {
  const moved = command.compiler.map((word) => moveRoot(word, source, replay.root));
  const at = moved.lastIndexOf('-c');
  const words = [...moved.slice(0, at), '-g0', ...replay.flags, ...moved.slice(at)].map((word) =>
    word.startsWith('-Wp,-MMD,') || word.startsWith('-Wp,-MD,') ? `-Wp,-MMD,${replay.dependencies}` : word,
  );
  words[words.lastIndexOf('-o') + 1] = replay.output;
  const compile = nonEmpty(words, command.object);
  return command.objtool === undefined
    ? [compile]
    : [compile, nonEmpty([...command.objtool, replay.output], command.object)];
}

/**
 * The command that prints the unit's preprocessed text, without line markers, and writes the list of what it
 * read. Line numbers and counters are all zero in it: header-units.ts says why.
 */
export function preprocessCommand(
  command: CompileCommand,
  source: string,
  { root, dependencies }: Pick<Replay, 'root' | 'dependencies'>,
): readonly [string, ...string[]] {
  const { words, input } = withoutOutput(command, source, root);
  const list = ['-MMD', '-MF', dependencies, '-MT', command.object];
  const numbers = ['-D__LINE__=0', '-D__COUNTER__=0'];
  return nonEmpty([...words, ...numbers, '-E', '-P', ...list, input], command.object);
}

/** The command that writes the unit's preprocessed text to `output` as genksyms reads it (scripts/Makefile.build). */
export function genksymsCommand(
  command: CompileCommand,
  source: string,
  { root, output }: Pick<Replay, 'root' | 'output'>,
): readonly [string, ...string[]] {
  const { words, input } = withoutOutput(command, source, root);
  return nonEmpty([...words, '-E', '-D__GENKSYMS__', '-o', output, input], command.object);
}

/** The command that compiles `empty`, a file without contents, as it would the unit: what is there before the unit is. */
export function emptyCommand(command: CompileCommand, empty: string): CompileCommand {
  return { ...command, compiler: [...command.compiler.slice(0, -1), empty] };
}

/** The compiler with all that decides what it reads, and with no output, no list of dependencies and no warnings. */
function withoutOutput(
  command: CompileCommand,
  source: string,
  root: string,
): { readonly words: readonly string[]; readonly input: string } {
  const words = command.compiler.map((word) => moveRoot(word, source, root));
  const output = words.lastIndexOf('-o');
  const kept = words.filter(
    (word, i) =>
      i !== output && i !== output + 1 && word !== '-c' && !/^-Wp,-MM?D,|^-W(?!p,|a,|l,)/.test(word),
  );
  const input = kept.pop() ?? '';
  return { words: [...kept, '-w'], input };
}

/**
 * Directories (paths in the tree) from which the paths of sources go up: `arch/x86/kvm` of
 * `SOURCE/arch/x86/kvm/../../../virt/kvm/kvm_main.c`. A path stays as it is, since it is the unit's `__FILE__`; so in a
 * mirror these may not be links.
 */
export function detoursOf(
  units: readonly { readonly command: CompileCommand }[],
  source: string,
): readonly string[] {
  return units.flatMap(({ command }) => {
    const input = command.compiler.at(-1) ?? '';
    const up = input.indexOf('/../');
    return input.startsWith(`${source}/`) && up > source.length ? [input.slice(source.length + 1, up)] : [];
  });
}

/** `-I/src/include` to `-I/mirror/include`, `-fmacro-prefix-map=/src/=` likewise; other words stay. */
function moveRoot(word: string, source: string, root: string): string {
  return source === root ? word : word.replaceAll(`${source}/`, `${root}/`);
}

function nonEmpty(words: readonly string[], object: string): readonly [string, ...string[]] {
  const [first, ...rest] = words;
  if (first === undefined) throw new InternalError('unexpected', `${object}: empty command`);
  return [first, ...rest];
}
