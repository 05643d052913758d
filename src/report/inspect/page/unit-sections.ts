/** What of an update is no replaced function: new code and data, what was passed over, symbols. */
import { counted } from '../../format.ts';
import type { InspectedUnit, Inspection } from '../inspection.ts';
import { type PassedOver, passedOver } from '../passed-over.ts';
import { symbolGroups } from '../symbol-groups.ts';
import { codeParts } from './function-sections.ts';
import { html, type Markup } from './markup.ts';

export function newSection({ units }: Inspection): Markup | string {
  const parts = units.flatMap((unit) => newOfUnit(unit));
  return parts.length === 0 ? '' : html`<section><h2 id="new">New</h2>${parts}</section>`;
}

function newOfUnit({ path, source, newFunctions, hooks, changes }: InspectedUnit): readonly Markup[] {
  const { newData = [], copiedData = [] } = changes ?? {};
  if (newFunctions.length + hooks.length + newData.length + copiedData.length === 0) return [];
  return [
    html`<h3><code>${path}</code></h3>`,
    ...newFunctions.map(({ name, size, code }) => {
      const kinds = hooks.filter((hook) => hook.name === name).map(({ kind }) => kind);
      const tag = kinds.length === 0 ? '' : html` <span class="tag">hook: ${kinds.join(', ')}</span>`;
      return html`<details class="card"><summary><b>${name}</b> <span class="dim">${counted(size, 'byte')}</span>${tag}</summary>
<div class="inside">${codeParts(code, source)}</div></details>`;
    }),
    html`<ul>
${newData.map(({ name, size, section }) => html`<li>object <code>${name}</code>, ${counted(size, 'byte')} in ${section}`)}
${copiedData.map(({ name, size, why }) => html`<li>copy of the constant <code>${name}</code>, ${counted(size, 'byte')}: ${why}`)}
</ul>`,
  ];
}

/** A list, folded where it is long. */
function list({ title, entries }: PassedOver): Markup {
  const items = html`<ul>${entries.map((entry) => html`<li>${entry}`)}</ul>`;
  if (entries.length <= 5) return html`<h3>${title}</h3>${items}`;
  return html`<details class="card"><summary>${title} <span class="dim">${entries.length}</span></summary>
<div class="inside">${items}</div></details>`;
}

export function foundSection(inspection: Inspection): Markup {
  const lists = passedOver(inspection);
  const body =
    lists === undefined ? html`<p>That was not recorded when the update was made.</p>` : lists.map(list);
  return html`<section><h2 id="found">Found, and no change</h2>${body}</section>`;
}

export function symbolSection({ units }: Inspection): Markup {
  return html`<section><h2 id="symbols">Symbols that it needs</h2>
${units.map((unit) => {
  const { path, references } = unit;
  return html`<details class="card"><summary><code>${path}</code> <span class="dim">${counted(references.length, 'symbol')}</span></summary>
<div class="inside">${symbolGroups(unit).map(
    ({ how, symbols }) => html`<h3>${how}</h3>
<div class="scroll"><table class="plain stack"><thead><tr><th>symbol<th>what<th>used by</thead><tbody>
${symbols.map(
  ({ symbol, kind, weak, usedBy }) =>
    html`<tr><td><code>${symbol}</code><td>${kind}${weak ? ', weak' : ''}<td class="mono">${usedBy.join(', ')}`,
)}</table></div>`,
  )}</div></details>`;
})}</section>`;
}
