/** The page's style sheet. Colours are variables, so that light and dark differ in nothing else. */
const LIGHT = `
--page: #ffffff; --card: #f6f8fa; --text: #1f2328; --dim: #59636e; --line: #d1d9e0; --link: #0969da;
--added: #dafbe1; --removed: #ffebe9; --changed: #fff8c5; --good: #1a7f37; --bad: #cf222e; --warn: #9a6700;
--keyword: #cf222e; --string: #0a3069; --number: #0550ae; --comment: #59636e; --type: #8250df; --found: #ffdf5d;`;

const DARK = `
--page: #0d1117; --card: #161b22; --text: #e6edf3; --dim: #9198a1; --line: #3d444d; --link: #58a6ff;
--added: #12361f; --removed: #4a1b1b; --changed: #3a2d0d; --good: #3fb950; --bad: #ff7b72; --warn: #d29922;
--keyword: #ff7b72; --string: #a5d6ff; --number: #79c0ff; --comment: #9198a1; --type: #d2a8ff; --found: #7a5b00;`;

export const STYLE = `
:root { color-scheme: light; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { color-scheme: dark; ${DARK} } }
:root[data-theme=light] { color-scheme: light; ${LIGHT} }
:root[data-theme=dark] { color-scheme: dark; ${DARK} }
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
a { color: var(--link); }
code, pre, table.code, .mono { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
header { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center;
  padding: .5rem 1rem; background: var(--card); border-bottom: 1px solid var(--line); }
header h1 { flex: 1 1 10rem; margin: 0; min-width: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
.tools { display: none; gap: .4rem; align-items: center; flex: 0 1 auto; }
.scripted .tools { display: flex; }
input, button { min-height: 2.2rem; padding: .2rem .6rem; color: inherit; background: var(--page); font: inherit;
  border: 1px solid var(--line); border-radius: 6px; }
input { width: 13rem; min-width: 0; flex: 1 1 auto; }
button { cursor: pointer; white-space: nowrap; }
#count { min-width: 5rem; white-space: nowrap; color: var(--dim); font-size: .85rem; }
main { max-width: 96rem; margin: 0 auto; padding: 0 1rem 4rem; }
h2 { margin: 2rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); font-size: 1.2rem; }
h3 { margin: 1.2rem 0 .4rem; font-size: 1rem; overflow-wrap: anywhere; }
h3 code { font-size: 14px; font-weight: 600; }
h3 .dim { font-size: .85rem; font-weight: normal; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; margin: .5rem 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: .4rem 0; padding-left: 1.3rem; }
li { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table.plain { border-collapse: collapse; width: 100%; }
table.plain th { color: var(--dim); font-weight: normal; text-align: left; }
table.plain th, table.plain td { padding: .15rem .8rem .15rem 0; vertical-align: top; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--line); }
table.plain .number { text-align: right; white-space: nowrap; }
details.card { margin: .5rem 0; border: 1px solid var(--line); border-radius: 6px; }
details.card > summary { padding: .5rem .8rem; background: var(--card); border-radius: 6px; cursor: pointer;
  overflow-wrap: anywhere; }
details.card > summary b { font: 600 14px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
details.card > .inside { padding: .2rem .8rem .8rem; }
summary .dim, .dim { color: var(--dim); }
.good { color: var(--good); } .bad { color: var(--bad); } .warning { color: var(--warn); }
.tag { display: inline-block; padding: 0 .5rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .8rem; }
pre.patch { margin: .5rem 0; padding: .5rem 0; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px;
  tab-size: 8; }
pre.patch span { display: inline-block; min-width: 100%; padding: 0 .8rem; }
.patch .added { background: var(--added); } .patch .removed { background: var(--removed); }
.patch .hunk { color: var(--dim); background: var(--card); } .patch .hunk b { color: var(--text); font-weight: normal; }
.patch .file { font-weight: 600; } .patch .mail { color: var(--dim); white-space: pre-wrap; }
.patch i { font-style: normal; }
.keyword, .directive { color: var(--keyword); } .string { color: var(--string); } .number { color: var(--number); }
.comment { color: var(--comment); } .type { color: var(--type); }
table.plain td.number { color: inherit; }
table.code { width: 100%; border-collapse: collapse; table-layout: fixed; }
table.code td { padding: 0 .4rem; vertical-align: top; overflow-wrap: anywhere; tab-size: 8; }
table.code td:nth-child(3n+1) { width: 3.6rem; color: var(--dim); text-align: right; }
table.code td:nth-child(3n+2) { width: 7rem; color: var(--dim); }
/* Not by colour alone. */
table.two td:nth-child(3n):not(:empty)::before { content: ""; display: inline-block; width: 1.2rem; color: var(--dim); }
table.two :is(.changed, .removed) td:nth-child(3):not(:empty)::before { content: "-"; }
table.two :is(.changed, .added) td:nth-child(6):not(:empty)::before { content: "+"; }
table.code abbr { text-decoration: none; }
table.two td:nth-child(4) { border-left: 1px solid var(--line); }
tr.removed td:nth-child(-n+3) { background: var(--removed); } tr.added td:nth-child(n+4) { background: var(--added); }
tr.changed td:nth-child(-n+3) { background: var(--removed); } tr.changed td:nth-child(n+4) { background: var(--added); }
details.fold > summary { padding: .1rem .8rem; color: var(--dim); background: var(--card); cursor: pointer;
  font-size: .85rem; }
.sides { display: grid; grid-template-columns: 1fr 1fr; color: var(--dim); font-size: .85rem; }
::highlight(search) { background: var(--found); }
::highlight(current) { background: var(--link); color: var(--page); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
dialog { max-width: 26rem; color: var(--text); background: var(--page); border: 1px solid var(--line);
  border-radius: 6px; }
kbd { display: inline-block; min-width: 1.6rem; padding: 0 .3rem; border: 1px solid var(--line); border-radius: 4px;
  text-align: center; }
@media (max-width: 50rem) {
  body { font-size: 16px; }
  header { padding: .4rem .6rem; }
  main { padding: 0 .6rem 3rem; }
  .tools { flex: 1 1 100%; }
  .tools .wide { display: none; }
  #count { min-width: 0; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dt { margin-top: .4rem; font-size: .85rem; }
  details.card > .inside { padding: .2rem .4rem .6rem; }
  .sides { display: none; }
  table.code, table.code tbody { display: block; }
  table.code tr { display: grid; grid-template-columns: 2.8rem 1fr; border-bottom: 1px dotted var(--line); }
  table.code td, table.code td:nth-child(3n+1), table.code td:nth-child(3n+2) { width: auto; padding: 0 .3rem; }
  table.code td:nth-child(3n+2) { display: none; }
  table.two td:nth-child(4) { border-left: 0; }
  tr.same td:nth-child(-n+3), tr.added td:nth-child(-n+3), tr.removed td:nth-child(n+4) { display: none; }
  table.stack, table.stack tbody, table.stack tr, table.stack td { display: block; }
  table.stack thead { display: none; }
  table.stack td { padding: 0; border: 0; }
  table.stack tr { padding: .3rem 0; border-bottom: 1px solid var(--line); }
  table.stack .number { text-align: left; }
}
@media print { header { position: static; } .tools { display: none; } }
`;
