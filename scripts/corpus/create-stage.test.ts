import { describe, expect, test } from 'vitest';
import { createCauses } from './create-causes.ts';
import { notMade } from './create-stage.ts';

function json(error: object): string {
  return JSON.stringify(error);
}

describe('how create ended', () => {
  test('status 3 is no change, and needs no cause', () => {
    const output = json({ code: 'no_change', message: 'the patch changes no code of this kernel' });
    expect(notMade(3, output, '')).toMatchObject({ outcome: 'no_change', causes: [] });
  });

  test('status 2 is a refusal', () => {
    const output = json({ code: 'refused', message: 'fs/x.o: f: 3 bytes, no room for a jump of 5 at +0' });
    expect(notMade(2, output, '')).toMatchObject({
      outcome: 'refused',
      causes: ['a function too short for a jump'],
    });
  });

  test('status 65 is a failure; the first error of the compiler is shown', () => {
    const message =
      'fs/x.o: does not compile with the patch:\nIn file included from a.h:\nfs/x.c:3:1: error: what?';
    const result = notMade(65, json({ code: 'compile_failed', message }), '');
    expect(result.outcome).toBe('failed');
    expect(result.text).toBe('fs/x.o: does not compile with the patch: fs/x.c:3:1: error: what?');
  });

  test.each([
    ['our bug', 70, json({ code: 'unexpected', message: 'oops' }), 'oops'],
    ['a status that create does not have', 4, json({ code: 'no_match', message: 'what?' }), 'what?'],
    ['a crash', 1, 'TypeError\n', 'exit status 1 without an error object: last words'],
  ])('%s is an internal error', (_, status, output, text) => {
    expect(notMade(status, output, 'first\nlast words\n')).toMatchObject({ outcome: 'internal_error', text });
  });
});

describe('causes', () => {
  test('each reason of differencing counts once, warnings do not', () => {
    const diagnostics = [
      { code: 'data_changed', severity: 'error', message: 'a' },
      { code: 'data_changed', severity: 'error', message: 'b' },
      { code: 'table_changed', severity: 'error', message: 'c', location: { section: '___ksymtab+f' } },
      { code: 'table_changed', severity: 'error', message: 'c', location: { section: '___ksymtab+g' } },
      { code: 'table_changed', severity: 'error', message: 'c', location: { section: '.initcall6.init' } },
      { code: 'init_code_changed', severity: 'warning', message: 'd' },
    ];
    expect(createCauses({ code: 'refused', message: '3 reasons', details: { diagnostics } })).toEqual([
      'a table changes that the kernel reads once: .initcall6.init',
      'a table changes that the kernel reads once: ___ksymtab',
      'existing data changes its initial value',
    ]);
  });

  test('the same reason for two files is one cause', () => {
    const causes = [
      'fs/ext4/inode.c is part of the module ext4: no',
      'net/x.c is part of the module y: no',
    ].map((message) =>
      createCauses({ code: 'refused', message, details: { refusals: [{ file: 'a', message }] } }),
    );
    expect(causes).toEqual([['the file is part of a module'], ['the file is part of a module']]);
  });

  test('what no rule knows loses its names', () => {
    const causes = ['fs/a.o: 2 things at 0x10', 'net/b/c.o: 31 things at 0xff'].map((message) =>
      createCauses({ code: 'refused', message }),
    );
    expect(causes).toEqual([['FILE: N things at N'], ['FILE: N things at N']]);
  });
});
