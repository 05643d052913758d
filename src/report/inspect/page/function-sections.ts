/** The replaced functions, unit by unit: why, and their code before and after. */
import { hex, hexBytes } from '../../../diagnostics/hex.ts';
import { counted } from '../../format.ts';
import type { CodeRow } from '../compare-code.ts';
import type { InspectedCode, InspectedFunction, InspectedUnit, Inspection } from '../inspection.ts';
import { reasonsFor } from '../reasons.ts';
import { codeTable } from './code-table.ts';
import { html, type Markup } from './markup.ts';

/** With so few functions they are unfolded from the start. */
const FEW = 3;

export function functionSections({ units }: Inspection): Markup {
  const count = units.reduce((sum, { functions }) => sum + functions.length, 0);
  return html`<section><h2 id="functions">Functions that are replaced</h2>
${units.map(
  (unit, index) => html`<h3><code>${unit.path}</code> <span class="dim">${unit.target}</span></h3>
${unit.escapes.reasons.length === 0 ? '' : html`<ul>${unit.escapes.reasons.map((reason) => html`<li>stays in memory after an undo: ${reason}`)}</ul>`}
${unit.functions.map((one, position) => functionCard(unit, one, `f${index}-${position}`, count <= FEW))}`,
)}</section>`;
}

const changedRows = (code: readonly InspectedCode[]): readonly CodeRow[] =>
  code.flatMap(({ rows }) => rows.filter(({ mark }) => mark !== 'same'));

function functionCard(unit: InspectedUnit, one: InspectedFunction, id: string, isOpen: boolean): Markup {
  const { name, sizes, site, needsLivepatch, code } = one;
  const changed = changedRows(code);
  const old = changed.filter(({ pre }) => pre !== undefined).length;
  const fresh = changed.filter(({ post }) => post !== undefined).length;
  const open = isOpen ? ' open' : '';
  const owner = one.owner === null ? '' : ` of update ${one.owner}`;
  return html`<details class="card" id="${id}"${open}><summary><b>${name}</b>${owner} <span class="dim">${counted(sizes.post, 'byte')}, before ${sizes.pre}; ${old} old and ${fresh} new instructions differ</span>${
    needsLivepatch === null ? '' : html` <span class="tag warning">needs livepatch: ${needsLivepatch}</span>`
  }</summary><div class="inside">
<ul class="why">${reasonsFor(one, unit).map((reason) => html`<li>${reason}`)}</ul>
<p class="dim">The jump to the new code goes at +${hex(site.offset)}, over ${counted(site.size, 'byte')}.</p>
${runTable(one)}
${codeParts(code, unit.source)}
</div></details>`;
}

/** The hot part and the cold one, each with its heading where there are two. */
export function codeParts(code: readonly InspectedCode[], source: string): Markup {
  return html`${code.map(({ name, rows }) => {
    const isNew = rows.every(({ pre }) => pre === undefined);
    const sides = isNew ? '' : html`<div class="sides"><span>before</span><span>after</span></div>`;
    return html`${code.length > 1 ? html`<h3><code>${name}</code></h3>` : ''}${sides}${codeTable(rows, source)}`;
  })}`;
}

function runTable({ run }: InspectedFunction): Markup | string {
  if (run === null) return '';
  return html`<details class="fold run"><summary>in the memory of the kernel at ${hex(run.address)}</summary>
<div class="scroll"><table class="plain mono"><thead><tr><th>place<th>what may be there<th>bytes<th>instructions</thead><tbody>
${run.instructions.map(
  ({ offset, kind, bytes, text }) =>
    html`<tr><td>+${hex(offset)}<td>${kind}<td>${hexBytes(bytes)}<td>${text}`,
)}</table></div></details>`;
}
