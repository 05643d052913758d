import { expect, test } from 'vitest';
import { readAnswers } from './listed-objects.ts';

test('answers stand in the commands that make prints', () => {
  const printed = `set -e;  echo '  KSPLICE-CORPUS fs/exec.o listed END';  trap 'rm -f fs/exec.o' HUP;  gcc-12 -c
set -e;  echo '  KSPLICE-CORPUS kernel/sched/rt.o unlisted END';  gcc-12 -c
make[2]: Nothing to be done for 'x'.
`;
  expect([...readAnswers(printed)]).toEqual([
    ['fs/exec.o', 'listed'],
    ['kernel/sched/rt.o', 'unlisted'],
  ]);
});

test('an answer that was cut off is none', () => {
  expect([...readAnswers("echo '  KSPLICE-CORPUS fs/exec.o listed")]).toEqual([]);
});
