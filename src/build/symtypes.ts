/**
 * What `genksyms -T` writes: a line for each exported symbol and for each type that one reaches, each name with its
 * expansion, in tokens that are separated by blanks:
 *
 *     s#list_head struct list_head { s#list_head * next , * prev ; }
 *     pipe_lock void pipe_lock ( s#pipe_inode_info * )
 *
 * `s#`, `u#`, `e#`, `t#` stand for struct, union, enum and typedef. What the unit only declares is
 * `struct posix_acl { UNKNOWN }`. A symbol's CRC is that of its line with all types expanded, each once.
 */
export type Symtypes = ReadonlyMap<string, readonly string[]>;

/** A type that an export reaches, before and after: tokens of genksyms, cut down to where they differ. */
export interface TypeTextChange {
  /** `struct pipe_buffer`, `typedef umode_t`; the name of the symbol itself where its own declaration differs. */
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

const kinds: ReadonlyMap<string, string> = new Map([
  ['s', 'struct'],
  ['u', 'union'],
  ['e', 'enum'],
  ['t', 'typedef'],
]);

export function parseSymtypes(text: string): Symtypes {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name = '', ...tokens] = line.trim().split(' ');
      return name === '' ? [] : [[name, tokens] as const];
    }),
  );
}

/** Names of all types that an export reaches, and its own. */
function reached(types: Symtypes, symbol: string): ReadonlySet<string> {
  const found = new Set([symbol]);
  // A set that is iterated over goes on with what is added meanwhile.
  for (const name of found) {
    for (const token of types.get(name) ?? []) if (token[1] === '#' && types.has(token)) found.add(token);
  }
  return found;
}

function isKnown(tokens: readonly string[]): boolean {
  return !tokens.includes('UNKNOWN');
}

/** `s#sock` to `struct sock`. */
export function typeName(name: string): string {
  const kind = name[1] === '#' ? kinds.get(name[0] ?? '') : undefined;
  return kind === undefined ? name : `${kind} ${name.slice(2)}`;
}

/** The tokens of both without what they begin and end with alike. */
function difference(before: readonly string[], after: readonly string[]): readonly [string, string] {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const cut = (tokens: readonly string[]): string =>
    tokens
      .slice(Math.max(0, start - 1), tokens.length - Math.max(0, end - 1))
      .map(typeName)
      .join(' ');
  return [cut(before), cut(after)];
}

/**
 * Types that an export reaches and that both builds know, with another text in each; by name. Empty if the patch
 * changes nothing but what the unit knows: a header more, and a type has members that was only declared before.
 */
export function changedTypes(symbol: string, pre: Symtypes, post: Symtypes): readonly TypeTextChange[] {
  const names = new Set([...reached(pre, symbol), ...reached(post, symbol)]);
  return [...names].sort().flatMap((name) => {
    const [before, after] = [pre.get(name), post.get(name)];
    if (before === undefined || after === undefined || !isKnown(before) || !isKnown(after)) return [];
    const [old, now] = difference(before, after);
    return old === now ? [] : [{ name: typeName(name), before: old, after: now }];
  });
}
