/**
 * Which objects a configuration is made of, asked of kbuild for a thousand files at once and without compiling one.
 *
 * Object lists are make variables, built up through the Makefiles of all directories above. They are expanded in the
 * message that kbuild prints for an object that it compiles, and that message can be given on the command line.
 * With `make -n` nothing is compiled and the message stands in the commands that are printed instead. A compiler flag
 * that no object was made with keeps kbuild from passing over those that are up to date.
 */
import { runKbuild } from '../../src/build/kbuild.ts';
import type { PreparedTree } from '../../src/build/tree.ts';

const MESSAGE =
  'quiet_cmd_cc_o_c=KSPLICE-CORPUS $@ $(if $(filter $@,$(real-obj-y) $(real-obj-m) $(lib-y)),listed,unlisted) END';

/** Those of `objects` (`fs/pipe.o`) that vmlinux or a module of this configuration is made of. */
export async function findListedObjects(
  tree: PreparedTree,
  objects: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (objects.length === 0) {
    return new Set();
  }
  const { stdout, stderr } = await runKbuild(
    tree,
    ['-n', '--keep-going', MESSAGE, 'V=0', 'KCFLAGS=-DKSPLICE_CORPUS', ...objects],
    // An object that no rule makes, in a directory without a Makefile, is none of this configuration.
    { jobs: 1, okExitCodes: [0, 2], signal },
  );
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
    [...output.matchAll(/KSPLICE-CORPUS (\S+) (listed|unlisted) END/g)].flatMap(([, object, answer]) =>
      object === undefined || answer === undefined ? [] : [[object, answer] as const],
    ),
  );
}
