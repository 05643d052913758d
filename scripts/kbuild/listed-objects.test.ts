import { expect, test } from 'vitest';
import { readAnswers, readLists } from './listed-objects.ts';

test('answers stand in the commands that make prints', () => {
  const printed = `set -e;  echo '  KSPLICE-LISTED fs/exec.o listed END';  trap 'rm -f fs/exec.o' HUP;  gcc-12 -c
set -e;  echo '  KSPLICE-LISTED kernel/sched/rt.o unlisted END';  gcc-12 -c
make[2]: Nothing to be done for 'x'.
`;
  expect([...readAnswers(printed)]).toEqual([
    ['fs/exec.o', 'listed'],
    ['kernel/sched/rt.o', 'unlisted'],
  ]);
});

test('an answer that was cut off is none', () => {
  expect([...readAnswers("echo '  KSPLICE-LISTED fs/exec.o listed")]).toEqual([]);
});

test('lists hold objects, of which the same one may be printed often, and archives of directories below', () => {
  const printed = `echo '  KSPLICE-LISTS lib/a.o lib/math/built-in.a lib/b.o LIBRARY lib/string.o END';  gcc-12 -c
echo '  KSPLICE-LISTS lib/a.o lib/b.o LIBRARY lib/string.o END';
`;
  expect(readLists(printed)).toEqual([
    { path: 'lib/a.o', isLibrary: false },
    { path: 'lib/b.o', isLibrary: false },
    { path: 'lib/string.o', isLibrary: true },
  ]);
});

test('a directory without objects has none', () => {
  expect(readLists("echo '  KSPLICE-LISTS   LIBRARY  END'")).toEqual([]);
});
