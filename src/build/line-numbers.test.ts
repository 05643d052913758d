import { describe, expect, it } from 'vitest';
import { parseChanges, placesForDirectives, withLineNumbers } from './line-numbers.ts';

describe('parseChanges', () => {
  it('reads what diff(1) prints', () => {
    const output = '4a5,6\n> one\n> two\n12,13c15\n< 1c2\n---\n> x\n20,22d21\n< gone\n';
    expect(parseChanges(output)).toEqual([
      { nextBefore: 5, nextAfter: 7, firstBefore: 5, firstAfter: 5 },
      { nextBefore: 14, nextAfter: 16, firstBefore: 12, firstAfter: 15 },
      { nextBefore: 23, nextAfter: 22, firstBefore: 20, firstAfter: 22 },
    ]);
  });
});

/** A letter for each line: y where a directive may stand before it. */
function places(text: string): string {
  const found = placesForDirectives(text.split('\n'));
  return found.map((isPlace) => (isPlace ? 'y' : 'n')).join('');
}

describe('placesForDirectives', () => {
  it.each([
    ['plain lines', 'a;\nb;\nc;', 'yyy'],
    ['a comment of several lines', '/* a\n * b\n */\nc;', 'ynny'],
    ['arguments of a macro', 'CALL(a,\n     b,\n     c);\nd;', 'ynny'],
    ['a continued definition', '#define A(x) \\\n  x + \\\n  1\nb;', 'ynny'],
    ['parentheses in strings, characters and comments', 'f("(", \'(\'); /* ( */ // (\nb;', 'yy'],
    ['a comment in a string', 'f("/*");\nb;', 'yy'],
    ['an escaped quote', 'f("\\"(");\nb;', 'yy'],
    ['parentheses of a definition', '#define OPEN (\na;', 'yy'],
    ['branches that open a parenthesis twice', '#if A\nf(a,\n#else\nf(b,\n#endif\n  c);\n}\nd;', 'yynnnnyy'],
  ])('%s', (_, text, expected) => {
    expect(places(text)).toBe(expected);
  });
});

describe('withLineNumbers', () => {
  it('puts the original number behind what became longer, and behind what became shorter', () => {
    const patched = 'a\nnew\nnew\nb\nc\ne\nf\n';
    const changes = parseChanges('1a2,3\n4d5\n');
    expect(withLineNumbers(patched, changes)).toBe('a\nnew\nnew\n#line 2\nb\nc\n#line 5\ne\nf\n');
  });

  it('leaves a change of as many lines alone', () => {
    expect(withLineNumbers('a\nB\nc\n', parseChanges('2c2\n'))).toBe('a\nB\nc\n');
  });

  it('waits for a line where a directive may stand, and counts on from there', () => {
    expect(withLineNumbers('CALL(new,\na,\nb);\nc;\n', parseChanges('1c1\n'))).toBe(
      'CALL(new,\na,\nb);\nc;\n',
    );
    expect(withLineNumbers('CALL(\nnew,\na,\nb);\nc;\n', parseChanges('0a1,2\n'))).toBe(
      'CALL(\nnew,\na,\nb);\n#line 3\nc;\n',
    );
  });

  it('puts none where the next change comes before such a line', () => {
    const patched = 'CALL(\nnew,\na,\nmore);\nc;\n';
    expect(withLineNumbers(patched, parseChanges('1a2\n2a4\n'))).toBe(
      'CALL(\nnew,\na,\nmore);\n#line 3\nc;\n',
    );
  });
});
