/**
 * Kinds of text in an update file. All of it is of one line and printable, so that it cannot draw on the terminal of
 * whoever looks at it.
 */
import * as v from 'valibot';

// Control characters, the line separators, and what reverses the direction of writing.
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

type Text = v.GenericSchema<string>;

/** A line of at most so many characters, maybe empty. */
export const lineText = (most: number): Text =>
  v.pipe(
    v.string(),
    v.maxLength(most),
    v.check((text) => !UNPRINTABLE.test(text), 'a line of printable text'),
  );

export const symbolName: Text = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,512}$/, 'a symbol name'));

/** A path below the source tree. */
export const treePath: Text = v.pipe(
  v.string(),
  v.maxLength(1024),
  v.check(isRelativePath, 'a path below the source tree, without . or ..'),
);

function isRelativePath(path: string): boolean {
  return /^[\x21-\x7e]+$/.test(path) && path.split('/').every((part) => !['', '.', '..'].includes(part));
}
