/** What a message says, without the names in it: two files with the same cause have the same text. */

const LONGEST = 120;
const LONGEST_LINE = 200;

/**
 * First line, with paths, symbols' offsets and numbers made alike; `names` are taken out, too. A heuristic: a name that
 * is a word of English stays, since the sentence may mean the word. Where it errs, one cause is counted as two.
 */
export function withoutNames(message: string, names: readonly string[] = []): string {
  const [first = ''] = message.split('\n');
  const known = new Set(names.filter((name) => /[A-Z0-9_]/.test(name)));
  return first
    .replaceAll(/\/?[\w.,+-]+(?:\/[\w.,+-]+)+/g, 'FILE')
    .replaceAll(/[A-Za-z_][\w.]*/g, (word) => (known.has(word.replace(/\.$/, '')) ? 'NAME' : word))
    .replaceAll(/0x[0-9a-f]+/g, 'N')
    .replaceAll(/\b\d+\b/g, 'N')
    .slice(0, LONGEST);
}

/** The last line that says something, at most 200 characters of it: a program's last words. */
export function lastLine(text: string): string {
  const line = text.split('\n').findLast((each) => each.trim() !== '') ?? '';
  return line.trim().slice(0, LONGEST_LINE);
}

/** The first such line. */
export function firstLine(text: string): string {
  const line = text.split('\n').find((each) => each.trim() !== '') ?? '';
  return line.trim().slice(0, LONGEST_LINE);
}
