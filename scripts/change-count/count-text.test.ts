import { expect, it } from 'vitest';
import { type CountedFile, countFiles, countText } from './count-text.ts';
import { isExcused, type Kind, kindsOf } from './kinds.ts';

function counted(outcome: string, ...kinds: readonly Kind[]): CountedFile {
  const file = `${outcome}-${kinds.join('-')}.c`;
  return { file, outcome, kinds: new Set(kinds), changes: kinds, error: null };
}

it.each<readonly [string, string, Kind]>([
  ['fs/a.c', '.text.f', 'code'],
  ['fs/a.c', '.sched.text', 'code'],
  ['fs/a.c', '.init.text', 'init'],
  ['fs/a.c', '.initcall4.init', 'init'],
  ['fs/a.c', '.exit.text', 'exit'],
  ['fs/a.c', '.noinstr.text', 'special'],
  ['arch/x86/entry/vdso/a.c', '.text.f', 'special'],
  ['fs/a.c', '.rodata.table', 'data'],
  ['fs/a.c', '.rodata.__func__', 'code'],
  ['fs/a.c', '___ksymtab_gpl+f', 'table'],
])('%s %s is %s', (file, name, kind) => {
  expect([...kindsOf(file, [{ name, change: 'contents' }])]).toEqual([kind]);
});

it('tells a new object, and one of another size, from one of another value', () => {
  const kinds = (['new', 'removed', 'resized'] as const).map((change) => [
    ...kindsOf('fs/a.c', [{ name: '.data.x', change }]),
  ]);
  expect(kinds).toEqual([['code'], ['code'], ['layout']]);
});

const excused = (...kinds: readonly Kind[]): boolean => isExcused(new Set(kinds));

it('excuses what nothing else stands in the way of', () => {
  expect([excused('init'), excused('data'), excused('code', 'layout'), excused('special')]).toEqual([
    true,
    true,
    true,
    true,
  ]);
  // Code can be replaced without what has run at boot; nobody has an excuse for exports.
  expect([excused('code'), excused('init', 'code'), excused('exit'), excused('data', 'table')]).toEqual([
    false,
    false,
    false,
    false,
  ]);
});

it('counts updates of the files that change an object, less the excused ones', () => {
  const files = [
    counted('made', 'code'),
    counted('made', 'code', 'init'),
    counted('refused', 'data'),
    counted('refused', 'exit'),
    counted('no_change'),
    { ...counted('failed'), error: 'x.c:1: error' },
  ];
  expect(countFiles(files)).toEqual({
    uncompiled: 1,
    unchanged: 1,
    changed: 4,
    made: 2,
    excused: 1,
    exitOnly: 1,
  });
  expect(countText(files)).toMatch(/^updates of 2 of the other 3: 66\.7 %$/m);
  expect(countText(files)).toContain('create says the same of every file');
  expect(countText([counted('made')])).toMatch(
    /create says otherwise:\n {2}made-\.c: create says made; here: no change/,
  );
});
