/**
 * Splits what kbuild recorded as a command into argument vectors: words with their quotes taken off, and
 * `;` or `&&` between commands. Returns undefined for anything that needs a real shell (variables,
 * redirection, substitution): better not to replay a command than to replay another one.
 *
 * Reference: POSIX shell, 2.2 Quoting.
 */
export function splitCommands(text: string): readonly (readonly string[])[] | undefined {
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === "'") {
      const end = text.indexOf("'", i + 1);
      if (end < 0) return undefined;
      word = (word ?? '') + text.slice(i + 1, end);
      i = end;
    } else if (c === '"') {
      const end = text.indexOf('"', i + 1);
      if (end < 0) return undefined;
      const inner = text.slice(i + 1, end);
      if (/[$`\\]/.test(inner)) return undefined;
      word = (word ?? '') + inner;
      i = end;
    } else if (c === '\\') {
      if (i + 1 === text.length) return undefined;
      word = (word ?? '') + text.charAt(i + 1);
      i += 1;
    } else if (c === ' ' || c === '\t') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (c === ';' || text.startsWith('&&', i)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      if (words.length > 0) commands.push(words);
      words = [];
      if (c === '&') i += 1;
    } else if (/[$`<>|&(){}#*?[\]~\n]/.test(c) && !isPlainInside(c, word)) {
      return undefined;
    } else {
      word = (word ?? '') + c;
    }
  }
  if (word !== undefined) words.push(word);
  if (words.length > 0) commands.push(words);
  return commands;
}

/** `#` and `~` mean something at the start of a word only. */
function isPlainInside(c: string, word: string | undefined): boolean {
  return (c === '#' || c === '~') && word !== undefined;
}
