import { expect, test } from 'vitest';
import { firstLine, lastLine, withoutNames } from './cause-text.ts';

test('names, paths and numbers are made alike, words are not', () => {
  const names = ['u_1', 'do_exit', 'do_exit.cold', 'open', 'kernel'];
  expect(withoutNames('u_1: kernel/exit.o: do_exit+0x12: 3 open files of do_exit.', names)).toBe(
    'NAME: FILE: NAME+N: N open files of NAME',
  );
  expect(withoutNames('do_exit_group is another', names)).toBe('do_exit_group is another');
});

test('only the first line counts', () => {
  expect(withoutNames('a\nb')).toBe('a');
});

test('first and last words', () => {
  expect(firstLine('\n  one \ntwo\n')).toBe('one');
  expect(lastLine('one\n two \n\n')).toBe('two');
  expect(firstLine('')).toBe('');
});
