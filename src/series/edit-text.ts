/**
 * Edits of a source file of the kernel, by anchors.
 *
 * Line numbers differ between kernels that one series is for, and a patch that is applied with fuzz can end in the
 * wrong function. So each edit looks for what it goes with, and refuses if that is not there, or more than once.
 */
import { RefusedError } from '../diagnostics/error.ts';

/** A file's path in the tree and its text. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

function refuse(path: string, expected: string, found: string): never {
  throw new RefusedError('refused', `${path}: expected ${expected}, found ${found}`, {
    hint: 'this kernel differs in a place that the series has to change: it has to be looked at by a person',
    details: { file: path, expected },
  });
}

function count(matches: number): string {
  return matches === 0 ? 'none' : `${matches} of them`;
}

/** Index behind the only line that is `line`, newline included. Throws RefusedError. */
function behindLine({ path, text }: SourceText, line: string): number {
  const all = `\n${text}`;
  const at = all.indexOf(`\n${line}\n`);
  if (at < 0 || all.indexOf(`\n${line}\n`, at + 1) >= 0) {
    const matches = all.split(`\n${line}\n`).length - 1;
    return refuse(path, `one line '${line}'`, count(matches));
  }
  return at + line.length + 1;
}

function insertAt(text: string, index: number, addition: string): string {
  return text.slice(0, index) + addition + text.slice(index);
}

/** `addition`, whole lines, behind the only line that is `anchor`. Throws RefusedError. */
export function insertAfterLine(source: SourceText, anchor: string, addition: string): string {
  return insertAt(source.text, behindLine(source, anchor), addition);
}

/** `addition` before the only line that is `anchor`. Throws RefusedError. */
export function insertBeforeLine(source: SourceText, anchor: string, addition: string): string {
  return insertAt(source.text, behindLine(source, anchor) - anchor.length - 1, addition);
}

/** Takes the only line away that is `line`. Throws RefusedError. */
export function removeLine(source: SourceText, line: string): string {
  const end = behindLine(source, line);
  return source.text.slice(0, end - line.length - 1) + source.text.slice(end);
}

export function hasLine(text: string, line: string): boolean {
  return `\n${text}`.includes(`\n${line}\n`);
}

/** Ends of the definitions of `name` at file level: a function, a structure with initial values, or a mutex. */
function definitionEnds(text: string, name: string): readonly number[] {
  const mutexes = [...text.matchAll(new RegExp(`^DEFINE_MUTEX\\(${name}\\);\\n`, 'gm'))];
  const bodies = [...text.matchAll(new RegExp(`^(?:[a-z].*[ *])?${name}(?:\\(| = \\{\\n)`, 'gm'))].filter(
    ({ index }) => {
      // A declaration ends before a body begins.
      const rest = text.slice(index);
      const body = rest.indexOf('{');
      const semicolon = rest.indexOf(';');
      return body >= 0 && (semicolon < 0 || body < semicolon);
    },
  );
  return [
    ...mutexes.map((found) => found.index + found[0].length),
    ...bodies.map(({ index }) => {
      const close = /^\};?\n/gm;
      close.lastIndex = index;
      const end = close.exec(text);
      return end === null ? -1 : end.index + end[0].length;
    }),
  ];
}

/** Exports `name` to GPL modules, right behind its only definition; unchanged if it is exported. Throws RefusedError. */
export function exportSymbol(source: SourceText, name: string): string {
  const { path, text } = source;
  if (new RegExp(`^EXPORT_SYMBOL(?:_GPL|_NS|_NS_GPL)?\\(${name}[,)]`, 'm').test(text)) return text;
  const ends = definitionEnds(text, name);
  const [end = -1] = ends;
  if (ends.length !== 1 || end < 0) return refuse(path, `one definition of ${name}`, count(ends.length));
  return insertAt(text, end, `EXPORT_SYMBOL_GPL(${name});\n`);
}

/** `entry`, a whole section of MAINTAINERS, where its name belongs in the alphabet. Throws RefusedError. */
export function insertMaintainers(source: SourceText, entry: string): string {
  const name = entry.slice(0, entry.indexOf('\n'));
  const headings = [...source.text.matchAll(/\n\n([0-9A-Z][^\n]*)\n[A-Z]:\t/g)];
  const next = headings.find(([, heading = '']) => heading > name && heading.startsWith(name.slice(0, 1)));
  if (next === undefined) {
    return refuse(source.path, `a section behind '${name}' in the alphabet`, 'none');
  }
  return insertAt(source.text, next.index + 2, `${entry}\n`);
}
