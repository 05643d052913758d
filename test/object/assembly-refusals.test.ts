import { describe, expect, it } from 'vitest';
import { compared, errors } from './assembly-source.ts';

const guarded = (value: number): string =>
  `.section .noinstr.text, "ax"\nFUNC guarded\n  mov $${value}, %eax\n  ret\nEND guarded`;

describe('what cannot be moved is refused, by name and place', () => {
  const refused: readonly (readonly [string, string, string])[] = [
    [
      'a function that is entered in its middle by name',
      'FUNC put\n  add $VALUE, %eax\n.globl inner\ninner: ret\nEND put',
      'unit.o: put: cannot be replaced: is entered in its middle, too, as inner',
    ],
    [
      'a function without a size',
      'FUNC open\n  add $VALUE, %eax\n  ret\n.type open, @function',
      'unit.o: open: cannot be replaced: has no size: no SYM_FUNC_END',
    ],
    [
      'code without any function',
      '.globl label\nlabel: add $VALUE, %eax\n  ret',
      'unit.o: .text: cannot be replaced: has code without a symbol of type FUNC',
    ],
    [
      'a function in a function',
      'FUNC outer\n  add $VALUE, %eax\nFUNC nested\n  ret\nEND nested\nEND outer',
      'unit.o: outer: cannot be replaced: has another function in it, nested',
    ],
    [
      'data among the instructions',
      'FUNC mixed\n  add $VALUE, %eax\n  jmp 1f\n.byte 0x06\n1: ret\nEND mixed',
      'unit.o: mixed: cannot be replaced: has bytes at +0x5 that are no instruction',
    ],
    [
      'a function that computes with its own address',
      'FUNC self\n  mov $self, %rax\n  add $VALUE, %eax\n  jmp *%rax\nEND self',
      'unit.o: self: cannot be replaced: takes its own address',
    ],
    [
      'a branch out of the file',
      'FUNC lost\n  add $VALUE, %eax\n  jmp . + 0x4000\nEND lost',
      'unit.o: lost: cannot be replaced: leads at +0x3 to where there is no code of this file',
    ],
    [
      'a function that a table of constants leads into',
      'FUNC go\n  add $VALUE, %eax\n.Lone: ret\nEND go\n.section .rodata\n.balign 8\ntable: .quad .Lone\n.type table, @object\n.size table, 8',
      'unit.o: go: cannot be replaced: table points to +0x3 of it',
    ],
  ];

  it.each(refused)('%s', (_what, source, message) => {
    const pair = compared(source.replace('VALUE', '1'), source.replace('VALUE', '2'));
    expect(errors(pair)).toContain(message);
    // Not in the way of what is patched elsewhere.
    const aside = (value: number): string =>
      `${source.replace('VALUE', '1')}\n.text\nFUNC aside\n  mov $${value}, %eax\n  ret\nEND aside`;
    if (source.startsWith('FUNC')) {
      expect(errors(compared(aside(1), aside(2)))).toEqual([]);
    }
  });

  it('code that may not be redirected, whatever the file', () => {
    expect(errors(compared(guarded(1), guarded(2)))).toEqual([
      expect.stringMatching(/^unit\.o: guarded: .*\.noinstr\.text/),
    ]);
  });
});
