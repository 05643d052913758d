/**
 * An inspection as one page for a browser: style and script are in it, nothing is loaded, and it works from a file.
 *
 * An update file is somebody else's, and so is every text in it. All of it is escaped (markup.ts); and the page forbids the
 * browser any script and style but its own two, which it names by their SHA-256 (Content Security Policy, level 2).
 */
import { createHash } from 'node:crypto';
import { counted, formatSize } from '../../format.ts';
import type { Inspection, KernelCheck } from '../inspection.ts';
import { functionSections } from './function-sections.ts';
import { highlightPatch } from './highlight.ts';
import { html, type Markup, raw } from './markup.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';
import { foundSection, newSection, symbolSection } from './unit-sections.ts';

const sourceOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const POLICY = [
  "default-src 'none'",
  `style-src ${sourceOf(STYLE)}`,
  `script-src ${sourceOf(SCRIPT)}`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const KEYS: readonly (readonly [string, string])[] = [
  ['/', 'search, what is folded too'],
  ['n p', 'next and previous place found'],
  ['j k', 'next and previous piece'],
  ['e c', 'unfold and fold everything'],
  ['t', 'light or dark'],
  ['?', 'this list; Esc closes it'],
];

/** The whole page. */
export function inspectionPage(inspection: Inspection): string {
  const { id, patches } = inspection;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${id}: what it changes</title>
${raw('style', STYLE)}
</head>
<body>
<header>
<h1>Update <code>${id}</code></h1>
<div class="tools">
<input id="search" type="search" placeholder="Search" aria-label="Search" autocomplete="off" spellcheck="false">
<output id="count" for="search"></output>
<button id="unfold" class="wide" type="button">Unfold</button>
<button id="fold" class="wide" type="button">Fold</button>
<button id="theme" type="button">Theme</button>
<button id="keys" class="wide" type="button" aria-label="Keys">?</button>
</div>
</header>
<main>
${summarySection(inspection)}
${inspection.check === null ? '' : checkSection(inspection.check)}
${remarkSection(inspection)}
<section><h2 id="patch">Patch</h2>
${patches.map(({ name, text }) => html`<h3>${name}</h3><pre class="patch">${highlightPatch(text.trimEnd())}</pre>`)}
</section>
${functionSections(inspection)}
${newSection(inspection)}
${foundSection(inspection)}
${symbolSection(inspection)}
${sizeSection(inspection)}
</main>
<dialog id="help" aria-label="Keys"><dl>${KEYS.map(
    ([keys, what]) => html`<dt>${keys.split(' ').map((key) => html`<kbd>${key}</kbd> `)}<dd>${what}`,
  )}</dl></dialog>
${raw('script', SCRIPT)}
</body>
</html>
`;
  return page.text;
}

function summarySection(inspection: Inspection): Markup {
  const { description, cves, on, kernel, units, matching, digest, file } = inspection;
  const functions = units.flatMap((unit) => unit.functions);
  const added = units.flatMap(({ newFunctions }) => newFunctions);
  const hooks = units.flatMap((unit) => unit.hooks);
  const resident = units.some(({ escapes }) => escapes.escapes);
  const rows: readonly (readonly [string, Markup | string])[] = [
    ['description', description],
    ['fixes', cves.join(', ')],
    ['on top of', on.map(({ id }) => id).join(', ')],
    [
      'changes',
      html`<a href="#functions">${counted(functions.length, 'function')}</a> in ${counted(units.length, 'unit')}${
        added.length === 0 ? '' : html`, <a href="#new">${added.length} new</a>`
      }${hooks.length === 0 ? '' : html`, <a href="#new">${counted(hooks.length, 'hook')}</a>`}`,
    ],
    ['targets', [...new Set(units.map(({ target }) => target))].join(', ')],
    ['kernel', `${kernel.release}${kernel.version === null ? '' : ` (${kernel.version})`}`],
    ['built', kernel.banner ?? ''],
    ['compiler', kernel.compiler],
    ['matched', matching],
    ['after an undo', resident ? 'stays in memory, see below at its units' : 'is unloaded'],
    ['made by', inspection.createdBy],
    ['signed by', inspection.signedBy ?? ''],
    ['file', file],
    ['SHA-256', html`<code>${digest}</code> of manifest.json`],
  ];
  return html`<section><h2 id="summary">Summary</h2><dl>${rows
    .filter(([, value]) => value !== '')
    .map(([label, value]) => html`<dt>${label}<dd>${value}`)}</dl></section>`;
}

function checkSection({ release, banner, kernel, fits, problem, units }: KernelCheck): Markup {
  const verdict = fits ? html`<b class="good">fits</b>` : html`<b class="bad">does not fit</b>`;
  return html`<section><h2 id="kernel">Kernel</h2>
<p>The update ${verdict} ${release} (${kernel}${banner === null ? '' : `, ${banner}`}).</p>
${problem === null ? '' : html`<p class="bad">${problem}</p>`}
<ul>${units.map(({ unit, compared, choices, mismatch }) =>
    mismatch === undefined
      ? html`<li><code>${unit}</code>: ${formatSize(compared)} of code are as they were compiled${Object.entries(
          choices,
        ).map(([what, value]) => html`; ${what}: ${value}`)}`
      : html`<li class="bad"><code>${mismatch.summary}</code>: ${mismatch.cause}
<pre>${mismatch.running.join('\n')}\n\n${mismatch.source.join('\n')}</pre>`,
  )}</ul></section>`;
}

function remarkSection({ created, units }: Inspection): Markup | string {
  const remarks = created?.remarks ?? [];
  const livepatch = units.flatMap(({ path, functions }) =>
    functions.flatMap(({ name, needsLivepatch }) =>
      needsLivepatch === null
        ? []
        : [`${path}: ${name} needs livepatch (${needsLivepatch}): it takes apply --engine livepatch`],
    ),
  );
  if (remarks.length + livepatch.length === 0) return '';
  return html`<section><h2 id="remarks">To know</h2><ul>
${livepatch.map((text) => html`<li><span class="tag warning">warning</span> ${text}`)}
${remarks.map(
  ({ severity, message, hint }) =>
    html`<li><span class="tag ${severity}">${severity}</span> ${message}${
      hint === undefined ? '' : html`<br><span class="dim">${hint}</span>`
    }`,
)}</ul></section>`;
}

function row(name: string, bytes: number): Markup {
  return html`<tr><td>${name}<td class="number">${formatSize(bytes)}`;
}

function sizeSection({ size, core, stub, patches, units }: Inspection): Markup {
  return html`<section><h2 id="sizes">Sizes</h2><div class="scroll"><table class="plain"><tbody>
${row('the file', size)}
${row(`the core, interface ${core.interface}`, core.size)}
${row('stub.o', stub.size)}
${patches.map((patch) => row(patch.name, patch.size))}
${units.map(({ path, sizes, memory }) => [
  row(`${path}: to be matched`, sizes.pre),
  row(`${path}: replacement`, sizes.replacement),
  row(`${path}: in memory, code`, memory.text),
  row(`${path}: in memory, constants`, memory.readOnly),
  row(`${path}: in memory, writable`, memory.writable),
])}
</table></div></section>`;
}
