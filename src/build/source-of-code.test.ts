import { expect, it } from 'vitest';
import { parseChanges } from './line-numbers.ts';
import { changedFile } from './source-of-code.ts';

it('lines that go have the numbers of the file before, and those that come of the file after', () => {
  expect(changedFile('x.c', parseChanges('1a2,3\n4c6\n8,9d9\n'))).toEqual({
    path: 'x.c',
    removed: [4, 8, 9],
    added: [2, 3, 6],
  });
});
