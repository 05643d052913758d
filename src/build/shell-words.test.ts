import { describe, expect, it } from 'vitest';
import { splitCommands } from './shell-words.ts';

describe('recorded commands', () => {
  it('splits words and commands and takes quotes off', () => {
    expect(
      splitCommands(`gcc -DX='"a b"' -D'Y=1'\\''' "q r"  -o x.o x.c  ; ./objtool --orc x.o && true`),
    ).toEqual([
      ['gcc', '-DX="a b"', "-DY=1'", 'q r', '-o', 'x.o', 'x.c'],
      ['./objtool', '--orc', 'x.o'],
      ['true'],
    ]);
  });

  it.each([
    'gcc $X',
    'gcc > out',
    'gcc `date`',
    'a | b',
    '(a)',
    "a 'open",
    'a "open',
    'a "$X"',
    'a &',
    'a # b',
    'a *',
  ])('refuses what needs a shell: %s', (text) => {
    expect(splitCommands(text)).toBeUndefined();
  });
});
