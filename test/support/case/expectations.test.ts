import { describe, expect, it } from 'vitest';
import { unmet } from './expectations.ts';

describe('unmet', () => {
  it('takes a line for met only when it is a whole line', () => {
    expect(unmet([{ kind: 'line', text: 'ok' }], 'a\nok\n')).toEqual([]);
    expect(unmet([{ kind: 'line', text: 'ok' }], 'not ok\n')).toEqual(['the line ok']);
  });

  it('looks for a pattern anywhere, and names those that it does not find', () => {
    const pattern = { kind: 'pattern', pattern: /^b\d$/m } as const;
    expect(unmet([pattern], 'a\nb1\n')).toEqual([]);
    expect(unmet([pattern, { kind: 'line', text: 'a' }], 'a\nb\n')).toEqual(['/^b\\d$/m']);
  });
});
