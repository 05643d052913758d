/**
 * A Makefile of kbuild that a patch changes, as far as the change adds nothing but objects of files that the patch brings.
 *
 * Anything else in it may change how other units are compiled, or which of them there are, and is not followed. So both
 * versions are compared as statements, the patched one without these objects:
 *
 *     foo-y += bar.o new.o          is the same as          foo-y += bar.o
 *     obj-$(CONFIG_FOO) += new.o                            nothing
 *     CFLAGS_new.o := -Wno-error                            nothing
 *
 * What the new lines mean is kbuild's to say (new-units.ts).
 */

/** Lists of objects: of the directory, of a library, of a composite object. */
const list = /^((?:obj|lib|[\w-]+)-(?:y|m|objs|\$\(CONFIG_\w+\))) ?([+:]?=) ?(.*)$/;
const flagsOf =
  /^(?:(?:CFLAGS|CFLAGS_REMOVE|OBJECT_FILES_NON_STANDARD|GCOV_PROFILE|KCOV_INSTRUMENT|(?:KASAN|UBSAN|KCSAN|KMSAN)_SANITIZE)_([\w-]+\.o)) ?[+:]?=/;

/** Statements without comments, continued lines joined, blanks as one. */
function statements(makefile: string): readonly string[] {
  return makefile
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) =>
      line
        .replace(/(^|\s)#.*$/, '')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');
}

/** A statement without these objects; undefined if it is about nothing else. */
function without(statement: string, objects: ReadonlySet<string>): string | undefined {
  const flagged = flagsOf.exec(statement)?.[1];
  if (flagged !== undefined && objects.has(flagged)) return undefined;
  const [, name, operator, text = ''] = list.exec(statement) ?? [];
  if (name === undefined) return statement;
  const words = text.split(' ').filter((word) => word !== '');
  const kept = words.filter((word) => !objects.has(word));
  if (kept.length === 0 && words.length > 0) return undefined;
  return `${name} ${operator} ${kept.join(' ')}`.trim();
}

/** Objects of `objects` (`new.o`) that a list of the Makefile names. */
export function listedObjects(makefile: string, objects: ReadonlySet<string>): readonly string[] {
  const words = statements(makefile).flatMap((each) => list.exec(each)?.[3]?.split(' ') ?? []);
  return [...new Set(words.filter((word) => objects.has(word)))];
}

/** The first statement that differs, of the patched Makefile or else of the original; undefined if none does. */
export function otherRule(pre: string, post: string, objects: ReadonlySet<string>): string | undefined {
  const before = statements(pre).flatMap((each) => without(each, new Set()) ?? []);
  const after = statements(post).flatMap((each) => without(each, objects) ?? []);
  const at = after.findIndex((each, index) => each !== before[index]);
  if (at >= 0) return after[at];
  return before[after.length];
}
