import { describe, expect, it } from 'vitest';
import type { CodeLine } from './code-line.ts';
import { compareCode } from './compare-code.ts';

/** Instructions of one byte each; `jne 2` is a branch to the third. */
function code(text: string): readonly CodeLine[] {
  return text.split('\n').map((line, offset) => {
    const target = /^j\w+ (\d+)$/.exec(line)?.[1];
    return {
      offset,
      bytes: new Uint8Array([offset]),
      text: line,
      key: target === undefined ? line : line.replace(/\d+/, 'itself'),
      target: target === undefined ? undefined : Number(target),
      source: undefined,
    };
  });
}

function marks(pre: string, post: string): readonly string[] {
  return compareCode(code(pre), code(post)).map(
    (row) => `${row.mark} ${row.pre?.text ?? ''} | ${row.post?.text ?? ''}`,
  );
}

describe('compareCode', () => {
  it('puts what is the same into one row, and what took the place of something beside it', () => {
    expect(marks('push\nmov a\nmov b\nret', 'push\nmov c\nmov b\nadd\nret')).toEqual([
      'same push | push',
      'changed mov a | mov c',
      'same mov b | mov b',
      'added  | add',
      'same ret | ret',
    ]);
    expect(marks('one\ntwo\nret', 'ret')).toEqual(['removed one | ', 'removed two | ', 'same ret | ret']);
  });

  it('takes a branch for the same if it goes to the same instruction, wherever that lies', () => {
    expect(marks('jne 2\nmov\nret', 'jne 3\nmov\nadd\nret')).toEqual([
      'same jne 2 | jne 3',
      'same mov | mov',
      'added  | add',
      'same ret | ret',
    ]);
  });

  it('and for changed if it goes to another, though its text is the same', () => {
    expect(marks('jne 2\nmov\nret', 'jne 2\nmov\nadd\nret')[0]).toBe('changed jne 2 | jne 2');
  });

  it('loses no instruction of either side, however different they are', () => {
    const pre = Array.from({ length: 1500 }, (_, i) => `a${i}`).join('\n');
    const post = Array.from({ length: 1600 }, (_, i) => `b${i}`).join('\n');
    const rows = compareCode(code(pre), code(post));
    expect(rows).toHaveLength(1600);
    expect(rows.flatMap((row) => row.pre?.offset ?? [])).toEqual([...Array(1500).keys()]);
    expect(rows.flatMap((row) => row.post?.offset ?? [])).toEqual([...Array(1600).keys()]);
  });
});
