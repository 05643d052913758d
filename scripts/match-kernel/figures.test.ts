import { expect, test } from 'vitest';
import { takeEvenly } from './figures.ts';

test('units are taken from all over the list, each once', () => {
  const items = Array.from({ length: 100 }, (_, i) => i);
  expect(takeEvenly(items, 1)).toEqual([50]);
  expect(takeEvenly(items, 4)).toEqual([12, 37, 62, 87]);
  expect(new Set(takeEvenly(items, 99)).size).toBe(99);
  expect(takeEvenly(items, 1000)).toEqual(items);
});
