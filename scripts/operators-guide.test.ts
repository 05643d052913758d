/**
 * Whoever looks an error up in the operator's guide finds it: each code that this program has and each abort cause of the
 * core has a line there, with the exit status that it really ends with.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const EXITS: Readonly<Record<string, string>> = {
  UsageError: '64',
  RefusedError: '2',
  NoChangeError: '3',
  MatchError: '4',
  BusyError: '5',
  FormatError: '65',
  MissingError: '69',
  InternalError: '70',
};

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Rows of the table below a heading, by the code in the first column: the exit statuses in the second. */
function table(heading: string): ReadonlyMap<string, readonly string[]> {
  const [, below = ''] = read('docs/operators.md').split(`\n### ${heading}\n`);
  const rows = [...(below.split('\n#')[0] ?? '').matchAll(/^\| `([a-z_]+)` \| ([\d, ]+) \| .+ \|$/gm)];
  const found = new Map(rows.map(([, code = '', exits = '']) => [code, exits.split(', ')]));
  expect(found.size, 'a code has two rows').toBe(rows.length);
  return found;
}

/** Exit statuses with which the program throws a code, as far as it is spelled out where it is thrown. */
function thrown(): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
    for (const [, name = '', code = ''] of read(`src/${file}`).matchAll(/new (\w+Error)\(\s*'([a-z_]+)'/g)) {
      const exit = EXITS[name];
      if (exit !== undefined) found.set(code, (found.get(code) ?? new Set()).add(exit));
    }
  }
  return found;
}

describe('the operator’s guide', () => {
  const codes = [...read('src/diagnostics/codes.ts').matchAll(/^ {2}\| '([a-z_]+)'/gm)].map(
    ([, code = '']) => code,
  );
  const causes = [...read('core/entry.c').matchAll(/^\t\[KSPLICE_[A-Z_]+\]\t+= "([a-z_]+)",$/gm)]
    .map(([, cause = '']) => cause)
    .filter((cause) => !['preparing', 'applied', 'reversed'].includes(cause));

  it('has every code, and no other', () => {
    expect(codes.length).toBeGreaterThan(40);
    expect([...table('Every code').keys()].toSorted()).toEqual(codes.toSorted());
  });

  it('has every abort cause of the core, and no other', () => {
    expect(causes).toContain('code_busy');
    expect([...table('The switch was not made').keys()].toSorted()).toEqual(causes.toSorted());
  });

  it('says with which exit status each ends', () => {
    const shown = table('Every code');
    const found = thrown();
    expect(found.size).toBeGreaterThan(30);
    for (const [code, exits] of found) {
      // Who is interrupted by a signal ends with that signal's status, whatever was thrown.
      if (code !== 'interrupted') expect(shown.get(code), code).toEqual(expect.arrayContaining([...exits]));
    }
  });

  it('says the same of a cause and of its code', () => {
    const shown = table('Every code');
    for (const [cause, exits] of table('The switch was not made')) {
      if (cause !== 'ok') expect(shown.get(cause), cause).toEqual(exits);
    }
  });
});
