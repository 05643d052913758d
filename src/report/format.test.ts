import { expect, it } from 'vitest';
import { counted, formatAge, formatDuration, formatSize } from './format.ts';

it.for<readonly [number, string]>([
  [0, '0.0 s'],
  [449, '0.4 s'],
  [59_999, '59.9 s'],
  [60_000, '1 min 0 s'],
  [125_900, '2 min 5 s'],
])('%d milliseconds are %s', ([milliseconds, text]) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

it.for<readonly [number, string]>([
  [0, '0 seconds'],
  [59, '59 seconds'],
  [60, '1 minute'],
  [7199, '1 hour'],
  [86_400, '1 day'],
  [3_000_000, '34 days'],
])('%d seconds are %s', ([seconds, text]) => {
  expect(formatAge(seconds)).toBe(text);
});

it.for<readonly [number, string]>([
  [1, '1 byte'],
  [1023, '1023 bytes'],
  [1536, '1.5 KB'],
  [3 * 1024 * 1024, '3.0 MB'],
])('%d bytes are %s', ([bytes, text]) => {
  expect(formatSize(bytes)).toBe(text);
});

it('counts one as one', () => {
  expect([0, 1, 2].map((count) => counted(count, 'unit'))).toEqual(['0 units', '1 unit', '2 units']);
});
