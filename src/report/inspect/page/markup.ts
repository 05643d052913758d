/**
 * HTML that is put together from texts of others. Whatever is put into a template is escaped, unless it is markup itself,
 * which nothing but a template makes: so what comes out of a file can be forgotten nowhere.
 */
class Html {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }
}

/** Text in HTML, escaped. */
export type Markup = Html;

type Part = string | number | Markup | readonly Part[];

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function render(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(render).join('');
  return String(part).replaceAll(/[&<>"']/g, (character) => ESCAPED[character] ?? '');
}

/** A template: `html\`<b>${name}</b>\``. For contents and for attributes in quotes, not for scripts and styles. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Html(strings.reduce((all, text, index) => `${all}${render(parts[index - 1] ?? '')}${text}`));
}

/** An element whose contents are not HTML: our own style or script, which may not hold its end mark. */
export function raw(element: 'style' | 'script', contents: string): Markup {
  if (contents.includes('</')) throw new RangeError(`${element}: </ would end it`);
  return new Html(`<${element}>${contents}</${element}>`);
}
