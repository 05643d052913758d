/**
 * Shell quoting, for display only: the lines that logs and `-v` show can be pasted into a shell.
 * Nothing that is run ever passes through here; commands are argument vectors.
 */

const SAFE = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** One word as a POSIX shell reads it back: plain where it can be, single quotes otherwise. */
export function quoteWord(word: string): string {
  return SAFE.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * A whole command: `cd /src && ARCH=x86 make -j2 'odd name'`.
 * The first word is quoted too when it would otherwise read as an assignment.
 */
export function quoteCommand(
  argv: readonly string[],
  context: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): string {
  const words = argv.map((word, index) =>
    index === 0 && word.includes('=') ? `'${word.replaceAll("'", `'\\''`)}'` : quoteWord(word),
  );
  const assignments = Object.entries(context.env ?? {}).map(([name, value]) => `${name}=${quoteWord(value)}`);
  const command = [...assignments, ...words].join(' ');
  return context.cwd === undefined ? command : `cd ${quoteWord(context.cwd)} && ${command}`;
}
