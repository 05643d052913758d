import { describe, expect, it } from 'vitest';
import { CaseError, parseCase } from './parse-case.ts';

const parse = (...lines: readonly string[]) => parseCase(`${lines.join('\n')}\n`, 'test/cases/x/case', 'x');

const MINIMAL = ['ABOUT it', 'PATCH fix.patch', 'TRIGGER show', 'EXPECT_BEFORE old', 'EXPECT new'] as const;

describe('parseCase', () => {
  it('reads a case, with defaults for what it does not say', () => {
    expect(parse('# a comment', '', ...MINIMAL)).toEqual({
      name: 'x',
      file: 'test/cases/x/case',
      about: 'it',
      patch: { kind: 'file', path: 'fix.patch' },
      createRefusal: undefined,
      setup: '',
      trigger: 'show',
      before: [{ kind: 'line', text: 'old' }],
      after: [{ kind: 'line', text: 'new' }],
      cleanup: '',
      during: [],
      obstacles: [],
      functions: undefined,
      newFunctions: undefined,
      modules: [],
      resident: false,
      twice: false,
      log: [],
      timeoutMs: 60_000,
    });
  });

  it('makes one script of the lines of a directive, wherever they stand, but one command of each DURING', () => {
    const read = parse(
      'SETUP one',
      ...MINIMAL,
      'SETUP two  # spaces stay',
      'TRIGGER again',
      'DURING a',
      'DURING b',
    );
    expect(read).toMatchObject({
      setup: 'one\ntwo  # spaces stay',
      trigger: 'show\nagain',
      during: ['a', 'b'],
    });
  });

  it('reads names, flags, patterns and times', () => {
    const read = parse(
      ...MINIMAL,
      'FUNCTIONS f g',
      'NEW_FUNCTIONS h',
      'TWICE',
      'RESIDENT',
      'LOG /^a b$/',
      'TIMEOUT 5',
    );
    expect(read).toMatchObject({
      functions: ['f', 'g'],
      newFunctions: ['h'],
      resident: true,
      twice: true,
      log: [/^a b$/m],
      timeoutMs: 5000,
    });
  });

  it('reads a patch out of Debian, and an expectation that is a pattern', () => {
    const read = parse(
      'ABOUT it',
      'PATCH_FROM_DEBIAN fs/pipe.c',
      'TRIGGER t',
      'EXPECT_BEFORE /a\\d/',
      'EXPECT b',
    );
    expect(read.patch).toEqual({ kind: 'debian', path: 'fs/pipe.c' });
    expect(read.before).toEqual([{ kind: 'pattern', pattern: /a\d/m }]);
  });

  it('gives each obstacle the lines of its own block', () => {
    const read = parse(
      ...MINIMAL,
      'OBSTACLE apply code_busy 5',
      '  START one',
      '  START two',
      '  SAYS /who/',
      '  CHECK look',
      '  STOP away',
      'OBSTACLE undo code_busy 5',
      '  START three',
      '  STOP gone',
    );
    expect(read.obstacles).toEqual([
      {
        at: 'apply',
        refusal: { code: 'code_busy', reasons: [], exitCode: 5, says: [/who/m] },
        start: 'one\ntwo',
        check: 'look',
        stop: 'away',
      },
      {
        at: 'undo',
        refusal: { code: 'code_busy', reasons: [], exitCode: 5, says: [] },
        start: 'three',
        check: '',
        stop: 'gone',
      },
    ]);
  });

  it('reads a patch that create refuses', () => {
    expect(
      parse('ABOUT it', 'PATCH p', 'REFUSED create no_change 3', '  SAYS /no code/').createRefusal,
    ).toEqual({
      code: 'no_change',
      reasons: [],
      exitCode: 3,
      says: [/no code/m],
    });
    const reasons = ['  REASONS type_layout_changed data_changed'];
    expect(
      parse('ABOUT it', 'PATCH p', 'REFUSED create refused 2', ...reasons).createRefusal?.reasons,
    ).toEqual(['data_changed', 'type_layout_changed']);
  });
});

describe('parseCase refuses, with file and line,', () => {
  it.each([
    ['an unknown directive', [...MINIMAL, 'EXPECTED new'], '6: unknown directive EXPECTED'],
    ['a line that is none', [...MINIMAL, 'expect new'], '6: expected DIRECTIVE value, found "expect new"'],
    ['wrong indentation', [...MINIMAL, ' EXPECT new'], '6: expected DIRECTIVE value'],
    ['a missing value', [...MINIMAL, 'SETUP'], '6: SETUP: the value is missing'],
    ['a value of a flag', [...MINIMAL, 'TWICE 3'], '6: TWICE: takes no value'],
    [
      'a second FUNCTIONS',
      ['FUNCTIONS a', ...MINIMAL, 'FUNCTIONS b'],
      '7: FUNCTIONS: given already in line 1',
    ],
    [
      'two patches',
      [...MINIMAL, 'PATCH_FROM_DEBIAN a.c'],
      '6: PATCH_FROM_DEBIAN: there is a patch already in line 2',
    ],
    ['no patch', ['ABOUT it', 'TRIGGER t'], '2: no PATCH or PATCH_FROM_DEBIAN'],
    ['no ABOUT', MINIMAL.slice(1), '4: no ABOUT'],
    ['no EXPECT', MINIMAL.slice(0, 4), '4: no EXPECT'],
    ['no EXPECT_BEFORE', [...MINIMAL.slice(0, 3), 'EXPECT n'], '4: no EXPECT_BEFORE'],
    ['a pattern that is none', [...MINIMAL, 'EXPECT /(/'], '6: EXPECT: Invalid regular expression'],
    ['a pattern without end', [...MINIMAL, 'LOG /a'], '6: LOG: expected /pattern/'],
    ['a time that is none', [...MINIMAL, 'TIMEOUT 0'], '6: TIMEOUT: expected seconds, 1 to 999'],
    [
      'an indented line without a block',
      [...MINIMAL, '  SAYS /a/'],
      '6: SAYS: indented, but no block is open',
    ],
    [
      'an indented line after the block was left',
      [...MINIMAL, 'OBSTACLE apply code_busy 5', '  START a', '  STOP b', 'LOG /x/', '  CHECK c'],
      '10: CHECK: indented, but no block is open',
    ],
    [
      'a directive of another block',
      ['ABOUT it', 'PATCH p', 'REFUSED create refused 2', '  START a'],
      '4: START: not in a block of REFUSED, which takes REASONS, SAYS',
    ],
    [
      'an obstacle that is never taken away',
      [...MINIMAL, 'OBSTACLE apply code_busy 5', '  START a'],
      '6: OBSTACLE: needs START and STOP',
    ],
    [
      'an obstacle to something else',
      [...MINIMAL, 'OBSTACLE view code_busy 5', '  START a', '  STOP b'],
      '6: OBSTACLE: expected apply|undo CODE STATUS, found view code_busy 5',
    ],
    [
      'a refusal without a status',
      ['ABOUT it', 'PATCH p', 'REFUSED create refused'],
      '3: REFUSED: expected create CODE STATUS, found create refused',
    ],
    [
      'what could never run',
      ['ABOUT it', 'PATCH p', 'REFUSED create refused 2', 'TRIGGER t'],
      '4: TRIGGER: create refuses the patch, so nothing runs',
    ],
  ])('%s', (_what, lines, message) => {
    const read = () => parse(...lines);
    expect(read).toThrow(CaseError);
    expect(read).toThrow(`test/cases/x/case:${message}`);
  });
});
