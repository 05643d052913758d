import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../diagnostics/error.ts';
import { checkUpdateId, deriveUpdateId, isUpdateId } from './update-id.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('deriveUpdateId', () => {
  it('always gives a letter and 11 hexadecimal digits, which is a valid id', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array(), { maxLength: 4 }), (parts) => {
        const id = deriveUpdateId(parts);
        expect(id).toMatch(/^[a-p][0-9a-f]{11}$/);
        expect(isUpdateId(id)).toBe(true);
      }),
    );
  });

  it('depends on every part and on where one ends', () => {
    const ids = [['ab', 'c'], ['a', 'bc'], ['abc'], ['ab', 'c', '']].map((parts) =>
      deriveUpdateId(parts.map(bytes)),
    );
    expect(new Set(ids).size).toBe(4);
    expect(deriveUpdateId([bytes('ab'), bytes('c')])).toBe(ids[0]);
  });
});

describe('checkUpdateId', () => {
  it.for(['', 'A', 'a-b', 'a.b', 'a/b', '..', 'ä', 'a'.repeat(33), 'a\n', 'control', 'interface'])(
    'refuses %j',
    (id) => {
      expect(() => checkUpdateId(id)).toThrow(UsageError);
    },
  );

  it.for(['a', '1', '_', 'cve_2026_53249', 'a'.repeat(32)])('takes %j', (id) => {
    expect(() => checkUpdateId(id)).not.toThrow();
  });
});
