import { describe, expect, it } from 'vitest';
import { diffSources, replacedNames } from './diff-compile.ts';

/** An interpreter as in kernel/bpf/core.c, with a constant table of labels, and a function that is none. */
const source = (step: number, otherStep: number): string => `
  int run(int op, int x)
  {
    static const void *const table[3] = { &&once, &&twice, &&end };
    goto *table[op];
  once:
    x = use(x) + 1;
    goto *table[x & 1];
  twice:
    x = use(x + 7);
    goto *table[x & 1];
  end:
    return use(x + ${step});
  }
  int other(int x) { return use(x + ${otherStep}); }`;

describe('a replaced function that a table leads into', () => {
  it('is refused: the table stays, and leads into the old code', () => {
    const pair = diffSources(source(1000, 1), source(1001, 1));
    expect(replacedNames(pair)).toEqual(['run']);
    expect(pair.change.diagnostics.map(({ code, message }) => `${code} ${message}`)).toEqual([
      expect.stringMatching(
        /^immovable_code unit\.o: run: cannot be replaced: table\.\d+ points to \+0x[0-9a-f]+ of it$/,
      ),
    ]);
  });

  it('is not in the way of other functions', () => {
    const pair = diffSources(source(1000, 1), source(1000, 2));
    expect(replacedNames(pair)).toEqual(['other']);
    expect(pair.change.diagnostics).toEqual([]);
  });
});
