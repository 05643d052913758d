/**
 * Which objects a configuration is made of, asked of kbuild for a thousand files at once and without compiling one.
 *
 * Object lists are make variables, built up through the Makefiles of all directories above. They are expanded in the
 * message that kbuild prints for an object that it compiles, and that message can be given on the command line.
 * With `make -n` nothing is compiled and the message stands in the commands that are printed instead. A compiler flag
 * that no object was made with keeps kbuild from passing over those that are up to date.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runKbuild } from '../../src/build/kbuild.ts';
import type { PreparedTree } from '../../src/build/tree.ts';
import { UsageError } from '../../src/diagnostics/error.ts';

const LISTS = '$(real-obj-y) $(real-obj-m) $(lib-y)';

interface KbuildAnswer {
  readonly stdout: string;
  readonly stderr: string;
}

/** What make would print if it compiled `objects`, with `message` for each of them. */
async function askKbuild(
  tree: PreparedTree,
  message: string,
  objects: readonly string[],
  signal: AbortSignal | undefined,
): Promise<KbuildAnswer> {
  return await runKbuild(
    tree,
    ['-n', '--keep-going', `quiet_cmd_cc_o_c=${message}`, 'V=0', 'KCFLAGS=-DKSPLICE_ASKS', ...objects],
    // An object that no rule makes, in a directory without a Makefile, is none of this configuration.
    { jobs: 1, okExitCodes: [0, 2], ...(signal === undefined ? {} : { signal }) },
  );
}

/** Those of `objects` (`fs/pipe.o`) that vmlinux or a module of this configuration is made of. */
export async function findListedObjects(
  tree: PreparedTree,
  objects: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (objects.length === 0) {
    return new Set();
  }
  const message = `KSPLICE-LISTED $@ $(if $(filter $@,${LISTS}),listed,unlisted) END`;
  const { stdout, stderr } = await askKbuild(tree, message, objects, signal);
  const answers = readAnswers(stdout);
  const silent = objects.filter(
    (object) => !answers.has(object) && !stderr.includes(`No rule to make target '${object}'`),
  );
  if (silent.length > 0) {
    throw new Error(`kbuild said nothing about ${silent.join(' ')}: ${stderr.slice(-2000)}`);
  }
  return new Set([...answers].filter(([, answer]) => answer === 'listed').map(([object]) => object));
}

/** The answers in what make printed, by object. */
export function readAnswers(output: string): ReadonlyMap<string, string> {
  return new Map(
    [...output.matchAll(/KSPLICE-LISTED (\S+) (listed|unlisted) END/g)].flatMap(([, object, answer]) =>
      object === undefined || answer === undefined ? [] : [[object, answer] as const],
    ),
  );
}

export interface ListedObject {
  /** `net/ipv4/tcp.o`. */
  readonly path: string;
  /** In `lib-y`: the linker puts these behind everything else, and not beside the directory's other objects. */
  readonly isLibrary: boolean;
}

/**
 * All objects of this configuration in a directory and those below, whatever they are made from: files of other
 * directories and generated ones too. `fs/*` and `fs/*.c`: without the directories below. Ordered by path. Throws
 * UsageError if the source has no such directory.
 */
export async function findDirectoryObjects(
  tree: PreparedTree,
  asked: string,
  signal?: AbortSignal,
): Promise<readonly ListedObject[]> {
  const directory = asked.replace(/\/(?:\*(?:\.c)?)?$/, '');
  const isDeep = !asked.includes('*');
  if (!existsSync(join(tree.source, directory))) {
    throw new UsageError('usage', `${asked}: the kernel's source has no such directory`);
  }
  const files = readdirSync(join(tree.source, directory), { recursive: isDeep, encoding: 'utf8' }).sort();
  // One object of each directory will do: it is asked for all the lists that its Makefile has.
  const samples = new Map(
    files
      .filter((file) => file.endsWith('.c'))
      .map((file) => [dirname(join(directory, file)), join(directory, file.replace(/\.c$/, '.o'))]),
  );
  const message = 'KSPLICE-LISTS $(real-obj-y) $(real-obj-m) LIBRARY $(lib-y) END';
  const { stdout } = await askKbuild(tree, message, [...samples.values()], signal);
  return readLists(stdout).filter(
    ({ path }) => path.startsWith(`${directory}/`) && (isDeep || dirname(path) === directory),
  );
}

/** All objects in the lists that make printed, each once. */
export function readLists(output: string): readonly ListedObject[] {
  const objects = new Map<string, ListedObject>();
  for (const [, own = '', library = ''] of output.matchAll(/KSPLICE-LISTS (.*?)LIBRARY (.*?)END/g)) {
    for (const [list, isLibrary] of [
      [own, false],
      [library, true],
    ] as const) {
      for (const path of list.split(' ')) if (path.endsWith('.o')) objects.set(path, { path, isLibrary });
    }
  }
  return [...objects.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
