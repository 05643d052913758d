import { describe, expect, it } from 'vitest';
import { isShownOutput } from './compare-output.ts';
import { readDocument } from './read-document.ts';

const DOCUMENT = `# Title

    build$ not in a block

\`\`\`console
build$ ksplice create --patch fix.patch \\
    --id fix
fix: subject

made it
machine# ksplice apply fix.ksplice
\`\`\`

\`\`\`sh
machine# neither
\`\`\`
`;

describe('a document', () => {
  it('is read as commands, with their output', () => {
    expect(readDocument(DOCUMENT)).toEqual([
      {
        where: 'build',
        command: 'ksplice create --patch fix.patch --id fix',
        output: ['fix: subject', '', 'made it'],
        line: 6,
      },
      { where: 'machine', command: 'ksplice apply fix.ksplice', output: [], line: 11 },
    ]);
  });

  it('does not show output of nothing', () => {
    expect(() => readDocument('```console\nfix: applied\n```\n')).toThrow('line 2: output of no command');
  });
});

describe('output', () => {
  it.for<readonly [string, boolean, string, string]>([
    ['is the same', true, 'a\nb', 'a\nb'],
    ['is another', false, 'a\nb', 'a\nc'],
    ['is longer', false, 'a', 'a\nb'],
    ['is shorter', false, 'a\nb', 'a'],
    ['took another time', true, 'done in 1.5 s, 2 min 3 s', 'done in 12.0 s, 4.4 s'],
    ['took another number of attempts', false, '1 attempt', '2 attempts'],
    ['has another digest', true, 'key 0123456789abcdef', 'key fedcba9876543210'],
    [
      'is of another moment',
      true,
      'since 2026-11-24T14:33:33.158Z (2 days ago)',
      'since 2027-01-01T00:00:00.001Z (1 second ago)',
    ],
    ['has anything in the middle', true, 'a\n...\nb', 'a\nx\ny\nb'],
    ['has nothing in the middle', true, 'a\n...\nb', 'a\nb'],
    ['has anything at its end', true, 'a\n...', 'a\nx'],
    ['lacks what comes after it', false, 'a\n...\nb', 'a\nx'],
  ])('%s: %s', ([, isSame, shown, found]) => {
    expect(isShownOutput(shown.split('\n'), found.split('\n'))).toBe(isSame);
  });
});
