/**
 * How kbuild would compile single objects, without compiling them.
 *
 * Asked with `make -n`, kbuild prints the recipe of each object, and in it the very text that it would leave in the `.cmd`
 * file (the argument of fixdep). What it cannot do so is to make what the object needs: some directories generate headers
 * first. Such steps are printed as well, before the object's own recipe. An object that has any is not answered here, but
 * by kbuild at work (locate-units.ts); so is everything else that looks otherwise than known.
 */
import { ASK_UNIT, MARK } from './configuration-units.ts';

/** What kbuild says about an object. */
export interface DryAnswer {
  readonly isListed: boolean;
  /** The module's name as the Makefiles have it; only for assembly. */
  readonly module: string | undefined;
  /** The line of the `.cmd` file: `cmd_fs/pipe.o := gcc-12 ...`. */
  readonly command: string;
}

/** Arguments of make besides the objects. */
export const dryRunArguments: readonly string[] = [
  '-n',
  '--keep-going',
  `quiet_cmd_cc_o_c=${ASK_UNIT} END`,
  `quiet_cmd_as_o_S=${ASK_UNIT} $(modname) END`,
  'V=0',
  `KCFLAGS=${MARK}`,
  `KAFLAGS=${MARK}`,
];

/** What make prints on the way to a directory, and nobody has to do. */
const onTheWay = /^(?::|make(?:\[\d+\])?[ :].*|need-\w+=1 ?\\?|single-build=1 ?\\?|(?:\S+\.o ?)+\\?|\s*)$/;

/**
 * Reads what was printed. Objects that are not among the answers have to be asked about otherwise.
 * @param objects those that were asked about
 */
export function readDryRun(output: string, objects: readonly string[]): ReadonlyMap<string, DryAnswer> {
  const lines = output.split('\n');
  // Before kbuild descends it looks after what `prepare` has made.
  const start = lines.findIndex((line) => /^make -f \S+\/Makefile\.build obj=\. /.test(line));
  const descent = lines.findIndex((line, i) => i >= start && start >= 0 && /\bneed-builtin=1\b/.test(line));
  if (start < 0 || descent < 0) return new Map();
  const wanted = new Set(objects);
  const answers = new Map<string, DryAnswer>();
  const inNeed = new Set<string>();
  let hasSteps = false;
  for (const line of lines.slice(descent + 1)) {
    if (onTheWay.test(line)) continue;
    const own = /trap 'rm -f (\S+); trap - HUP;/.exec(line)?.[1];
    if (own === undefined || !wanted.has(own)) {
      hasSteps = true;
      continue;
    }
    const asked = /KSPLICE-UNIT (\S+) (listed|unlisted)(?: (\S+))? END/.exec(line);
    if (asked?.[1] !== own && !answers.has(own)) hasSteps = true;
    if (asked?.[1] === own && hasSteps) {
      inNeed.add(own);
      hasSteps = false;
    }
    const recorded = /\/fixdep \S+ (\S+) '((?:[^']|'\\'')*)' > /.exec(line);
    if (asked?.[1] === own && recorded?.[1] === own) {
      const text = (recorded[2] ?? '').replaceAll("'\\''", "'").replaceAll(` ${MARK}`, '');
      answers.set(own, {
        isListed: asked[2] === 'listed',
        module: asked[3],
        command: `cmd_${own} := ${text}`,
      });
    }
  }
  // Steps behind the last object: whose they are is not known.
  if (hasSteps) return new Map();
  return new Map([...answers].filter(([object]) => !inNeed.has(object)));
}
