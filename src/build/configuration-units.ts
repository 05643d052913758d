/**
 * Every unit of the configuration, with the command that makes it, without compiling one.
 *
 * A changed header may be part of any unit, so all must be known. Asking kbuild about one object after the
 * other takes seconds each. Instead kbuild is sent once through the whole tree with `make -n`: it descends into
 * every directory of the configuration as a build would, and prints what it would run. A flag that no object
 * was made with keeps it from passing over what is up to date; in each printed recipe stands the very text that
 * would go to the `.cmd` file (the argument of fixdep), and the message that says what is compiled is
 * replaced by one that says whether the object is in a list of what the kernel is linked from.
 *
 * Under -n make still runs recipes that call make, so the goal is the directory `./`: goals that link
 * (vmlinux, modules) would start a linker here.
 *
 * The answer depends on what the prepared tree's key stands for, and is kept beside the tree.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';
import { withFileLock } from '../process/file-lock.ts';
import { writeWhole } from '../process/write-whole.ts';
import { type CompileCommand, inModule, parseCommandFile } from './compile-command.ts';
import { runKbuild } from './kbuild.ts';
import { type ModuleList, parseModuleList } from './module-lists.ts';
import type { PreparedTree } from './tree.ts';

export interface ConfigurationUnit {
  /** Path in the source tree (`fs/pipe.c`); absolute for a source that the build itself makes. */
  readonly source: string;
  readonly command: CompileCommand;
  /**
   * Part of vmlinux or of a module. Others are compiled as kernel code and end up as data (vDSO), in
   * another image (purgatory, real mode, EFI stub), or make a header (`asm-offsets.s`).
   */
  readonly isListed: boolean;
}

export interface Configuration {
  readonly units: readonly ConfigurationUnit[];
  /** All modules. */
  readonly modules: readonly ModuleList[];
  /** Headers (paths in the tree) that a build step other than a compilation reads, and what it says. */
  readonly readBySteps: ReadonlyMap<string, string>;
}

export interface ConfigurationOptions {
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** A flag that no command of a build has. */
export const MARK = '-DKSPLICE_ASKS';

/** Expanded where the lists are known: whether the object that is made is in one of them. */
export const ASK_UNIT =
  'KSPLICE-UNIT $@ $(if $(filter $@,$(real-obj-y) $(real-obj-m) $(lib-y)),listed,unlisted)';

/** Throws MissingError if kbuild does not get through the tree. */
export async function readConfiguration(
  tree: PreparedTree,
  options: ConfigurationOptions,
): Promise<Configuration> {
  const file = path.join(tree.buildDir, '.ksplice', 'configuration-4.json');
  const stored = await readFile(file, 'utf8').catch(() => undefined);
  if (stored !== undefined) return unpack(JSON.parse(stored));
  return withFileLock(
    tree.lockFile,
    async () => {
      options.onProgress?.('asking kbuild for all units of the configuration (once for this kernel)');
      const answers = [`quiet_cmd_cc_o_c=${ASK_UNIT} END`, `quiet_cmd_as_o_S=${ASK_UNIT} $(modname) END`];
      const goals = ['-n', ...answers, 'V=0'];
      const { stdout, stderr, exitCode } = await runKbuild(
        tree,
        [...goals, `KCFLAGS=${MARK}`, `KAFLAGS=${MARK}`, './'],
        {
          jobs: 1,
          okExitCodes: [0, 1, 2],
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        },
      );
      const configuration = parseDryRun(stdout, tree.source);
      if (exitCode !== 0 || !configuration.units.some((unit) => unit.isListed)) {
        throw new MissingError('command_failed', 'kbuild does not tell the units of this configuration', {
          details: { source: tree.source, stderr: stderr.split('\n').slice(-20) },
        });
      }
      await writeWhole(file, JSON.stringify(pack(configuration)));
      return configuration;
    },
    {
      wait: true,
      busyCode: 'apply_in_progress',
      onWait: () => options.onProgress?.('waiting for another ksplice that builds in the same tree'),
      signal: options.signal,
    },
  );
}

/** Reads what `make -n` printed. `source` is the root of the source tree. */
export function parseDryRun(output: string, source: string): Configuration {
  const units = new Map<string, ConfigurationUnit>();
  const modules: ModuleList[] = [];
  const readBySteps = new Map<string, string>();
  for (const line of output.split('\n')) {
    const module = parseModuleList(line);
    if (module !== undefined) modules.push(module);
    const recorded = /\/fixdep \S+ (\S+) '((?:[^']|'\\'')*)' > /.exec(line);
    if (recorded?.[1] === undefined || recorded[2] === undefined) {
      for (const [, header = ''] of line.matchAll(headerIn(source)))
        if (!line.includes('-nostdinc')) readBySteps.set(path.posix.normalize(header), stepName(line));
      continue;
    }
    const object = recorded[1];
    const asked = /KSPLICE-UNIT (\S+) (listed|unlisted)(?: (\S+))? END/.exec(line);
    const makesHeader = /(?:^|\/)(?:asm-offsets|bounds)\.s$/.test(object);
    if (asked?.[1] !== object && !makesHeader) continue;
    const text = recorded[2].replaceAll("'\\''", "'").replaceAll(` ${MARK}`, '');
    const command = makesHeader
      ? parseCommandFile(asObject(text, object), object.replace(/s$/, 'o'))
      : parseCommandFile(`cmd_${object} := ${text}`, object);
    const input = command?.compiler.at(-1);
    if (command === undefined || input === undefined) continue;
    // kvm.ko is made of `arch/x86/kvm/../../../virt/kvm/kvm_main.o`.
    const named = { ...command, object: path.posix.normalize(command.object) };
    const origin = path.posix.normalize(input);
    units.set(named.object, {
      source: origin.startsWith(`${source}/`) ? origin.slice(source.length + 1) : origin,
      command: asked?.[3] === undefined ? named : inModule(named, asked[3]),
      isListed: asked?.[2] === 'listed',
    });
  }
  return { units: [...units.values()], modules, readBySteps };
}

/** The command for `asm-offsets.s` as one that makes an object. */
function asObject(text: string, object: string): string {
  const made = object.replace(/s$/, 'o');
  return `cmd_${made} := ${text.replaceAll(` -S `, ' -c ').replaceAll(` -o ${object}`, ` -o ${made}`)}`;
}

function headerIn(source: string): RegExp {
  return new RegExp(`${source.replaceAll(/[.*+?^$()[\]{}|\\]/g, '\\$&')}/([\\w./+-]+\\.h)\\b`, 'g');
}

/** `  GEN     security/apparmor/net_names.h` of a recipe; its beginning where it prints none. */
function stepName(line: string): string {
  return /echo '\s*([^']+)'/.exec(line)?.[1]?.replaceAll(/\s+/g, ' ').trim() ?? line.trim().slice(0, 60);
}

/** Commands share nearly all of their words, so each word is stored once. */
interface Packed {
  readonly words: readonly string[];
  readonly units: readonly (readonly [
    source: string,
    object: string,
    compiler: readonly number[],
    objtool: readonly number[] | null,
    module: string | null,
    isListed: boolean,
  ])[];
  readonly modules: readonly ModuleList[];
  readonly steps: readonly (readonly [string, string])[];
}

function pack({ units, modules, readBySteps }: Configuration): Packed {
  const numbers = new Map<string, number>();
  const number = (word: string): number => {
    const known = numbers.get(word) ?? numbers.size;
    numbers.set(word, known);
    return known;
  };
  return {
    units: units.map(({ source, command: { object, compiler, objtool, module }, isListed }) => [
      source,
      object,
      compiler.map(number),
      objtool?.map(number) ?? null,
      module ?? null,
      isListed,
    ]),
    words: [...numbers.keys()],
    modules,
    steps: [...readBySteps],
  };
}

function unpack({ words, units, modules, steps }: Packed): Configuration {
  const spell = (numbers: readonly number[]): readonly string[] => numbers.map((one) => words[one] ?? '');
  return {
    units: units.map(([source, object, compiler, objtool, module, isListed]) => ({
      source,
      command: {
        object,
        compiler: spell(compiler),
        objtool: objtool === null ? undefined : spell(objtool),
        module: module ?? undefined,
      },
      isListed,
    })),
    modules,
    readBySteps: new Map(steps),
  };
}
