/**
 * The page's script: search through all of it, what is folded too, and the keyboard. Everything can be read without.
 *
 * It is text here, since it runs in a browser and not with the rest of the program; the tests run it in one.
 */
export const SCRIPT = `'use strict';
(() => {
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const [search, count, help] = [$('search'), $('count'), $('help')];
  root.classList.add('scripted');

  const foldings = () => [...document.querySelectorAll('main details')];
  const cards = () => [...document.querySelectorAll('details.card')];
  const setAll = (open) => { for (const one of foldings()) one.open = open; };
  const isDark = () => getComputedStyle(root).colorScheme === 'dark';
  const switchTheme = () => { root.dataset.theme = isDark() ? 'light' : 'dark'; };

  // Search: ranges of text, painted without changing the page where the browser can do that.
  const MOST = 5000;
  let found = [];
  let current = -1;
  const paint = () => {
    if (typeof Highlight !== 'function' || !CSS.highlights) return;
    CSS.highlights.set('search', new Highlight(...found));
    CSS.highlights.set('current', new Highlight(...(current < 0 ? [] : [found[current]])));
  };
  const report = () => {
    const all = found.length === MOST ? MOST + '+' : found.length;
    count.textContent = search.value.trim() === '' ? '' : found.length === 0 ? 'nothing' : current + 1 + ' of ' + all;
  };
  const show = (index) => {
    if (found.length === 0) return;
    current = (index + found.length) % found.length;
    const range = found[current];
    for (let at = range.startContainer.parentElement; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
    range.startContainer.parentElement.scrollIntoView({ block: 'center' });
    paint();
    report();
  };
  const find = () => {
    const wanted = search.value.trim().toLowerCase();
    [found, current] = [[], -1];
    const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (wanted !== '' && found.length < MOST && walker.nextNode()) {
      const node = walker.currentNode;
      const text = node.data.toLowerCase();
      // Where lower case has another length, offsets would be wrong.
      if (text.length !== node.data.length) continue;
      for (let at = text.indexOf(wanted); at >= 0 && found.length < MOST; at = text.indexOf(wanted, at + wanted.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + wanted.length);
        found.push(range);
      }
    }
    paint();
    report();
    show(0);
  };
  let timer;
  search.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(find, 150); });
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') { event.preventDefault(); show(current + (event.shiftKey ? -1 : 1)); }
    if (event.key === 'Escape') { search.value = ''; find(); search.blur(); }
  });

  const step = (by) => {
    const all = cards();
    const at = all.findIndex((card) => card.contains(document.activeElement));
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    if (next === undefined) return;
    const summary = next.querySelector('summary');
    summary.focus({ preventScroll: true });
    summary.scrollIntoView({ block: 'start' });
  };
  const toggleHelp = () => { if (help.open) help.close(); else help.showModal(); };
  const keys = {
    '/': () => search.focus(),
    n: () => show(current + 1),
    p: () => show(current - 1),
    j: () => step(1),
    k: () => step(-1),
    e: () => setAll(true),
    c: () => setAll(false),
    t: switchTheme,
    '?': toggleHelp,
  };
  document.addEventListener('keydown', (event) => {
    const isTyping = event.target instanceof HTMLInputElement;
    const action = keys[event.key];
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || action === undefined) return;
    event.preventDefault();
    action();
  });
  const open = () => {
    const target = location.hash.length > 1 ? $(decodeURIComponent(location.hash.slice(1))) : null;
    for (let at = target; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener('hashchange', open);
  open();
  $('theme').addEventListener('click', switchTheme);
  $('unfold').addEventListener('click', () => setAll(true));
  $('fold').addEventListener('click', () => setAll(false));
  $('keys').addEventListener('click', toggleHelp);
})();
`;
