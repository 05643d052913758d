/**
 * A patch with colours: what each line is, and in it the words of C. A patch shows pieces of files, so a comment that began
 * above a piece is not seen as one; colours decide nothing.
 */
import { html, type Markup } from './markup.ts';

const KEYWORDS = new Set(
  (
    'auto break case char const continue default do double else enum extern float for goto if inline int long register ' +
    'return short signed sizeof static struct switch typedef union unsigned void volatile while bool true false NULL'
  ).split(' '),
);

/** Comments, strings, numbers, names, in this order; a string may be cut off by the end of the line. */
const TOKEN =
  /\/\*.*?(?:\*\/|$)|\/\/.*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)+'|\b(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b|[A-Za-z_]\w*/g;

function classOf(token: string): string | undefined {
  if (token.startsWith('/')) return 'comment';
  if (token.startsWith('"') || token.startsWith("'")) return 'string';
  if (/^\d/.test(token)) return 'number';
  if (KEYWORDS.has(token)) return 'keyword';
  return /^(?:[us](?:8|16|32|64)|__[a-z]\w*|\w+_t)$/.test(token) ? 'type' : undefined;
}

/** A line of C. */
export function highlightC(text: string): readonly Markup[] {
  const directive = /^\s*#\s*\w+/.exec(text)?.[0] ?? '';
  const parts: Markup[] = directive === '' ? [] : [html`<i class="directive">${directive}</i>`];
  // A line in the middle of a comment, as the kernel writes them.
  if (/^\s*\*(?:\s|\/|$)/.test(text)) return [html`<i class="comment">${text}</i>`];
  let last = directive.length;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index < last) continue;
    const [token] = match;
    const name = classOf(token);
    if (name === undefined) continue;
    parts.push(html`${text.slice(last, match.index)}<i class="${name}">${token}</i>`);
    last = match.index + token.length;
  }
  return [...parts, html`${text.slice(last)}`];
}

function isHeader(line: string, isInHunk: boolean): boolean {
  return !isInHunk || /^(?:diff |index |--- a\/|\+\+\+ b\/)/.test(line);
}

/** A unified diff, a line each; what stands before and between its pieces is plain. */
export function highlightPatch(text: string): readonly Markup[] {
  let isInHunk = false;
  return text.split('\n').map((line) => {
    const hunk = /^(@@ -\S+ \+\S+ @@)(.*)$/.exec(line);
    if (hunk !== null) {
      isInHunk = true;
      return html`<span class="hunk">${hunk[1] ?? ''}<b>${hunk[2] ?? ''}</b></span>\n`;
    }
    if (isHeader(line, isInHunk)) {
      isInHunk = false;
      const name = /^(?:---|\+\+\+|diff) /.test(line) ? 'file' : 'mail';
      return html`<span class="${name}">${line}</span>\n`;
    }
    const name = line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : 'kept';
    return html`<span class="${name}">${line.slice(0, 1)}${highlightC(line.slice(1))}</span>\n`;
  });
}
