/**
 * `ksplice inspect` from end to end: an update that create has made, as text, as JSON, and as a page in a real browser.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/run-cli.ts';
import { inspectUpdate } from '../../src/report/inspect/inspect-update.ts';
import { inspectionText } from '../../src/report/inspect/inspection-text.ts';
import { inspectionPage } from '../../src/report/inspect/page/page.ts';
import { readUpdateFile } from '../../src/update/read-update.ts';
import { createInspectedFile, HOSTILE, type InspectedFile } from './inspect-fixture.ts';

/** Debian's package `chromium`, see scripts/setup.sh. */
const CHROMIUM = '/usr/bin/chromium';

let made: InspectedFile;
let page: string;

async function ksplice(...argv: readonly string[]): Promise<{ status: number; stdout: string }> {
  let stdout = '';
  const status = await runCli(argv, {
    stdout: (text) => {
      stdout += text;
    },
    stderr: {
      write: () => undefined,
      isTerminal: false,
      colors: false,
      columns: () => 80,
      now: () => 0,
    },
    env: {},
    cwd: made.directory,
    program: '/nowhere/ksplice.cjs',
    signal: new AbortController().signal,
  });
  return { status, stdout };
}

beforeAll(async () => {
  made = await createInspectedFile();
  page = path.join(made.directory, 'out.html');
});

afterAll(async () => {
  await made.remove();
});

/** What lies between a heading of the text and the next one. */
function section(text: string, title: string): string {
  return text.split(`== ${title}\n`)[1]?.split('\n== ')[0] ?? '';
}

describe('ksplice inspect', () => {
  it('says of each function why it is replaced: own code, an inlined function of a header, neither', async () => {
    const { status, stdout } = await ksplice('inspect', made.file);
    expect(status).toBe(0);
    const lines = section(stdout, 'functions in 4 units')
      .split('\n')
      .map((line) => line.trim());
    const after = (start: string): string | undefined =>
      lines[lines.findIndex((line) => line.startsWith(start)) + 1];
    expect(after('sort_it:')).toBe('the patch changes its own code in lib/sort.c: new lines 11-12');
    expect(after('one_open:')).toBe(
      'the patch changes wide_add() of include/linux/wide.h, inlined: old lines 7, new lines 7, 10',
    );
    // wide_line() is in it too, and has the numbers of lines that are new in wide_add(): it is not named.
    expect(after('two_open:')).toBe(
      'the patch changes wide_add() of include/linux/wide.h, inlined: new lines 7, 10',
    );
    expect(after('four_open:')).toMatch(
      /^no line that the patch changes has code in it: .*include\/linux\/wide\.h\)$/,
    );
  });

  it('shows what differs in the code, what is new, and what was passed over', async () => {
    const { stdout } = await ksplice('inspect', made.file);
    expect(section(stdout, 'code of four_open of fs/four.o')).toMatch(
      /^ {2}fs\/four\.c:4\n- {5}0: {2}lea 0x1\(%rdi\),%eax\n\+ {5}0: {2}lea 0x3\(%rdi\),%eax\n/,
    );
    expect(section(stdout, 'code of sort_it of lib/sort.o')).toMatch(/^\+ .*j\w+ sort_it\+0x[0-9a-f]+$/m);
    expect(section(stdout, 'new')).toContain('function sort_fail, ');
    expect(section(stdout, 'found, and no change')).toContain('lib/sort.o: 1 function\n');
    expect(section(stdout, 'found, and no change')).toContain('include/linux/wide.h: 4 units may include it');
    expect(section(stdout, 'symbols')).toContain('printk, for ');
    expect(section(stdout, 'patch fix.patch')).toContain(`+        return printk("${HOSTILE}%d", x);`);
  });

  it('has all of it for a program, every instruction of either side once', async () => {
    const { status, stdout } = await ksplice('inspect', made.file, '--json');
    expect(status).toBe(0);
    const json = JSON.parse(stdout);
    expect(json).toMatchObject({
      id: 'sort_fix',
      cves: ['CVE-2026-53249'],
      check: null,
      created: { same: [] },
    });
    const sort = json.units.find(({ path: name }: { path: string }) => name === 'lib/sort.o');
    const [{ sizes, code, found }] = sort.functions;
    expect(found.code).toEqual([
      { file: 'lib/sort.c', function: 'sort_it', isInlined: false, removed: [], added: [11, 12] },
    ]);
    interface Line {
      readonly bytes: string;
    }
    const sizeOf = (side: 'pre' | 'post'): number =>
      code
        .flatMap((part: { rows: Record<string, Line | null>[] }) => part.rows)
        .reduce((sum: number, row: Record<string, Line | null>) => {
          return sum + (row[side]?.bytes.split(' ').length ?? 0);
        }, 0);
    expect([sizeOf('pre'), sizeOf('post')]).toEqual([sizes.pre, sizes.post]);
  });

  it('writes a page; the same update gives the same bytes', async () => {
    const { status, stdout } = await ksplice('inspect', made.file, '--html', page);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/: 4 functions in 4 units, \d+\.\d KB\n$/)]);
    const first = await readFile(page, 'utf8');
    await ksplice('inspect', made.file, '--html', page);
    expect(await readFile(page, 'utf8')).toBe(first);
    expect((await ksplice('inspect', made.file, '--html', '/nowhere/x.html')).status).toBe(64);
  });

  it('fails as check does where a kernel is no kernel, and leaves no page', async () => {
    const other = path.join(made.directory, 'other.html');
    const image = path.join(made.directory, 'fix.patch');
    const { status } = await ksplice('inspect', made.file, '--html', other, '--image', image);
    expect(status).toBe(65);
    await expect(readFile(other)).rejects.toThrow('ENOENT');
  });
});

describe('the page in Chromium', () => {
  let browser: Browser;
  /** What the browser had to say: errors, and what the page's own policy forbade. */
  const complaints: string[] = [];

  beforeAll(async () => {
    await ksplice('inspect', made.file, '--html', page);
    // As root, Chromium does not start with its sandbox; the page is ours.
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  });

  afterAll(async () => {
    await browser.close();
  });

  async function open(file: string, width = 1280, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
    const tab = await browser.newPage({ viewport: { width, height: 800 }, colorScheme, offline: true });
    tab.on('console', (message) => complaints.push(message.text()));
    tab.on('pageerror', (error) => complaints.push(error.message));
    tab.on('request', (request) => {
      if (!request.url().startsWith('file:')) complaints.push(`asks for ${request.url()}`);
    });
    await tab.goto(pathToFileURL(file).href);
    return tab;
  }

  it('finds what is folded, goes from place to place, and folds and unfolds, by the keyboard alone', async () => {
    const tab = await open(page);
    const isOpen = async (name: string): Promise<boolean> =>
      await tab
        .locator('details.card', { hasText: name })
        .first()
        .evaluate((card: { open?: boolean }) => card.open === true);
    expect(await isOpen('two_open')).toBe(false);
    await tab.keyboard.press('/');
    // At once: the page looks for what stands there when nobody has typed for a moment.
    await tab.keyboard.insertText('TWO_open');
    await expect.poll(async () => await tab.textContent('#count'), { timeout: 20_000 }).toMatch(/^1 of \d+$/);
    expect(await isOpen('two_open')).toBe(true);
    await tab.keyboard.press('Enter');
    expect(await tab.textContent('#count')).toMatch(/^2 of \d+$/);
    await tab.keyboard.press('Escape');
    expect(await tab.inputValue('#search')).toBe('');

    const unfolded = "[...document.querySelectorAll('main details')].filter((one) => one.open).length";
    await tab.keyboard.press('c');
    expect(await tab.evaluate(unfolded)).toBe(0);
    await tab.keyboard.press('j');
    await tab.keyboard.press('j');
    expect(await tab.evaluate('document.activeElement.textContent')).toContain('one_open');
    await tab.keyboard.press('Enter');
    expect(await isOpen('one_open')).toBe(true);
    await tab.keyboard.press('e');
    expect(await tab.evaluate(unfolded)).toBe(await tab.locator('main details').count());
    await tab.keyboard.press('?');
    expect(await tab.locator('#help').isVisible()).toBe(true);
    await tab.keyboard.press('Escape');
    expect(await tab.locator('#help').isVisible()).toBe(false);
    await tab.close();
  });

  it('is light or dark as the machine is, and as one likes', async () => {
    const background = 'getComputedStyle(document.body).backgroundColor';
    const [light, dark] = [await open(page), await open(page, 1280, 'dark')];
    const [white, black] = [await light.evaluate(background), await dark.evaluate(background)];
    expect([white, black]).toEqual(['rgb(255, 255, 255)', 'rgb(13, 17, 23)']);
    await light.keyboard.press('t');
    await dark.click('#theme');
    expect([await light.evaluate(background), await dark.evaluate(background)]).toEqual([black, white]);
    await Promise.all([light.close(), dark.close()]);
  });

  it('tells what is old and what is new by a sign, too, and not by colour alone', async () => {
    const tab = await open(page);
    await tab.keyboard.press('e');
    const signs = `[...document.querySelectorAll('table.two tr')].flatMap((row) => [3, 6].map((column) => {
      const cell = row.children[column - 1];
      return row.className + column + ' ' + (cell.textContent === '' ? 'none' : getComputedStyle(cell, '::before').content);
    }))`;
    const found = new Set(v.parse(v.array(v.string()), await tab.evaluate(signs)));
    expect([...found].toSorted()).toEqual([
      'added3 none',
      'added6 "+"',
      'changed3 "-"',
      'changed6 "+"',
      'removed3 "-"',
      'removed6 none',
      'same3 ""',
      'same6 ""',
    ]);
    await tab.close();
  });

  it('fits a phone: nothing is wider than the screen, and both sides stand below each other', async () => {
    const tab = await open(page, 360);
    await tab.keyboard.press('e');
    expect(await tab.evaluate('document.documentElement.scrollWidth')).toBe(360);
    const row = tab.locator('tr.changed').first();
    const [old, fresh] = [
      await row.locator('td').nth(2).boundingBox(),
      await row.locator('td').nth(5).boundingBox(),
    ];
    expect(old?.x).toBe(fresh?.x);
    expect(fresh?.y).toBeGreaterThan(old?.y ?? 0);
    await tab.close();
    const wide = await open(page);
    await wide.keyboard.press('e');
    const side = wide.locator('tr.changed').first();
    expect((await side.locator('td').nth(2).boundingBox())?.y).toBe(
      (await side.locator('td').nth(5).boundingBox())?.y,
    );
    await wide.close();
  });

  it('shows what looks like HTML in a patch and in code as the text that it is', async () => {
    const tab = await open(page);
    expect(await tab.textContent('pre.patch')).toContain('+/* <script>window.hit = 1</script> */');
    expect(await tab.textContent('main')).toContain(`lea "${HOSTILE}%d"(%rip),%rdi`);
    expect(await tab.evaluate('window.hit')).toBeUndefined();
    await tab.close();
  });

  it('runs nothing of an update that is hostile in every text', async () => {
    const evil = `<script>window.hit = 1</script><img src=x onerror="window.hit=1">"'><b class=evil>&lt;`;
    const update = readUpdateFile(made.file);
    const inspection = await inspectUpdate(update, { file: made.file, size: 1, signedBy: 'x' });
    const spoiled = spoil(inspection, evil);
    const file = path.join(made.directory, 'evil.html');
    await writeFile(file, inspectionPage(spoiled));
    const tab = await open(file);
    await tab.keyboard.press('e');
    expect(await tab.evaluate('window.hit')).toBeUndefined();
    expect(await tab.locator('.evil, main img, main script, main b b').count()).toBe(0);
    const shown = (await tab.textContent('main')) ?? '';
    expect(shown.split(evil).length).toBeGreaterThan(100);
    await tab.close();
    // In a terminal, neither: no text can draw.
    const text = inspectionText(spoil(inspection, 'a\u001b[31m\u202eb\u2028'));
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Zl}]/u);
  });

  it('asks for nothing, and breaks none of its own rules, in all of this', () => {
    expect(complaints).toEqual([]);
  });
});

/** The same with a text behind every text of it. Those that the program itself decides by are left. */
function spoil<T>(value: T, evil: string): T {
  const known = new Set(['mark', 'severity']);
  const walk = (each: unknown, key: string): unknown => {
    if (typeof each === 'string') return known.has(key) ? each : `${each}${evil}`;
    if (Array.isArray(each)) return each.map((one) => walk(one, key));
    if (typeof each !== 'object' || each === null || each instanceof Uint8Array) return each;
    return Object.fromEntries(Object.entries(each).map(([name, one]) => [name, walk(one, name)]));
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return walk(value, '') as T;
}
