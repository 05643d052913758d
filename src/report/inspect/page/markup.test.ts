import { describe, expect, it } from 'vitest';
import { highlightC, highlightPatch } from './highlight.ts';
import { html, raw } from './markup.ts';

describe('html', () => {
  it('escapes what is put in, and leaves what is markup', () => {
    const name = `<b>"x"&'y'`;
    expect(html`<i title="${name}">${name}${html`<u>${1}</u>`}${['<', html`<p>`]}</i>`.text).toBe(
      '<i title="&lt;b&gt;&quot;x&quot;&amp;&#39;y&#39;">&lt;b&gt;&quot;x&quot;&amp;&#39;y&#39;<u>1</u>&lt;<p></i>',
    );
  });

  it('takes no object for markup that only looks like one', () => {
    const forged: unknown = JSON.parse('{"text":"<script>"}');
    // @ts-expect-error: a value from outside is no markup
    expect(() => html`${forged}`.text).toThrow(TypeError);
  });

  it('does not let a script end itself', () => {
    expect(() => raw('script', 'x = "</script>"')).toThrow(RangeError);
  });
});

const c = (line: string): string => html`${highlightC(line)}`.text;

describe('colours', () => {
  it('of C', () => {
    expect(c('\tif (x == 0x1fUL) // done')).toBe(
      '\t<i class="keyword">if</i> (x == <i class="number">0x1fUL</i>) <i class="comment">// done</i>',
    );
    expect(c('static u32 f = g("a\\"<", \'<\');')).toBe(
      '<i class="keyword">static</i> <i class="type">u32</i> f = g(<i class="string">&quot;a\\&quot;&lt;&quot;</i>, <i class="string">&#39;&lt;&#39;</i>);',
    );
    expect(c('#define A 1')).toBe('<i class="directive">#define</i> A <i class="number">1</i>');
    expect(c(' * if it is')).toBe('<i class="comment"> * if it is</i>');
  });

  it('of a patch say what each line is, and lose nothing', () => {
    const patch =
      'From: <a@b>\n\n--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@ int f(void)\n-old <1>\n+new "&"\n kept\n';
    const lines = highlightPatch(patch).map(({ text }) => text);
    const classes = lines.map((line) => /class="(\w+)"/.exec(line)?.[1]);
    expect(classes.slice(0, 8)).toEqual(['mail', 'mail', 'file', 'file', 'hunk', 'removed', 'added', 'kept']);
    const plain = lines
      .join('')
      .replaceAll(/<[^>]*>/g, '')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&amp;', '&');
    expect(plain).toBe(`${patch}\n`);
  });
});
