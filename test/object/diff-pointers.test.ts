import { describe, expect, it } from 'vitest';
import { diffSources, replacedNames } from './diff-compile.ts';

/** An interpreter as in kernel/bpf/core.c: a constant table of labels; `step` is the last that code adds. */
const interpreter = (table: string, step: number): string => `
  int run(int op, int x)
  {
    ${table} = { &&once, &&twice, &&end };
    goto *table[op];
  once:
    x = use(x) + 1;
    goto *table[x & 1];
  twice:
    x = use(x + 7);
    goto *table[x & 1];
  end:
    return use(x + ${step});
  }`;

describe('a replaced function that a table leads into', () => {
  it('is refused: the table stays, and leads into the old code', () => {
    const table = 'static const void *const table[3]';
    const pair = diffSources(interpreter(table, 1000), interpreter(table, 1001));
    expect(replacedNames(pair)).toEqual(['run']);
    expect(pair.change.diagnostics.map(({ code, message }) => `${code} ${message}`)).toEqual([
      expect.stringMatching(
        /^immovable_code unit\.o: run: cannot be replaced: table\.\d+ points to \+0x[0-9a-f]+ of it$/,
      ),
    ]);
  });

  it('is not in the way of other functions', () => {
    const source = (step: number): string =>
      `${interpreter('static const void *const table[3]', 1000)} int other(int x) { return use(x + ${step}); }`;
    const pair = diffSources(source(1), source(2));
    expect(replacedNames(pair)).toEqual(['other']);
    expect(pair.change.diagnostics).toEqual([]);
  });
});
