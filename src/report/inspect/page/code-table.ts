/**
 * The code of a function before and after, side by side. Runs of instructions that are the same are folded; on a narrow
 * screen both sides stand below each other (style.ts).
 */
import type { SourceLine } from '../../../elf/line-table.ts';
import { counted } from '../../format.ts';
import type { CodeLine } from '../code-line.ts';
import type { CodeRow } from '../compare-code.ts';
import { html, type Markup } from './markup.ts';

/** Rows that are the same and stay visible on either side of those that are not. */
const CONTEXT = 4;
/** A run that is shorter is not worth folding. */
const SHORTEST = 6;

/** Where a line is from, if that is another place than before: its number, and its file where it is another. */
class Places {
  readonly #source: string;
  #last = '';

  /** `source`: the file whose name is left out. */
  constructor(source: string) {
    this.#source = source;
  }

  text(source: SourceLine | undefined): Markup | string {
    if (source === undefined) return '';
    const { file, line } = source;
    const place = `${file}:${line}`;
    if (place === this.#last) return '';
    this.#last = place;
    if (file === this.#source) return String(line);
    return html`<abbr title="${place}">${file.slice(file.lastIndexOf('/') + 1)}:${line}</abbr>`;
  }
}

function side(line: CodeLine | undefined, places: Places): Markup {
  if (line === undefined) return html`<td><td><td>`;
  return html`<td>${line.offset.toString(16)}<td>${places.text(line.source)}<td>${line.text}`;
}

/** Runs of rows that are folded, and of those that are not. */
function runsOf(
  rows: readonly CodeRow[],
): readonly { readonly folded: boolean; readonly rows: readonly CodeRow[] }[] {
  const differs = rows.map(({ mark }) => mark !== 'same');
  const near = rows.map((_, index) =>
    differs.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).includes(true),
  );
  const runs: { folded: boolean; rows: CodeRow[] }[] = [];
  for (const [index, row] of rows.entries()) {
    const folded = near[index] !== true;
    const last = runs.at(-1);
    if (last?.folded === folded) last.rows.push(row);
    else runs.push({ folded, rows: [row] });
  }
  return runs.map((run) => ({ ...run, folded: run.folded && run.rows.length >= SHORTEST }));
}

/** @param source the file of the unit: lines of others have their file's name */
export function codeTable(rows: readonly CodeRow[], source: string): Markup {
  const before = new Places(source);
  const after = new Places(source);
  const isOneSided = rows.every(({ pre }) => pre === undefined);
  const table = (part: readonly CodeRow[]): Markup =>
    isOneSided
      ? html`<table class="code one"><tbody>${part.map((row) => html`<tr>${side(row.post, after)}`)}</table>`
      : html`<table class="code two"><tbody>${part.map(
          (row) => html`<tr class="${row.mark}">${side(row.pre, before)}${side(row.post, after)}`,
        )}</table>`;
  if (isOneSided) return table(rows);
  return html`${runsOf(rows).map((run) =>
    run.folded
      ? html`<details class="fold"><summary>${counted(run.rows.length, 'instruction')} the same</summary>${table(run.rows)}</details>`
      : table(run.rows),
  )}`;
}
