import { describe, expect, it } from 'vitest';
import { RefusedError } from '../diagnostics/error.ts';
import type { Diagnostic } from '../diff/diagnostic.ts';
import { refuseDiagnostics } from './refuse-diagnostics.ts';

function reason(message: string, hint?: string): Diagnostic {
  return { code: 'data_changed', severity: 'error', message, ...(hint === undefined ? {} : { hint }) };
}

function refusal(...errors: readonly Diagnostic[]): RefusedError {
  try {
    refuseDiagnostics(errors);
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
  throw new Error('not refused');
}

describe('refuseDiagnostics', () => {
  it('lets pass what has no errors', () => {
    expect(() => refuseDiagnostics([])).not.toThrow();
  });

  it('gives a single reason as it is, with its advice', () => {
    expect(refusal(reason('x: changed', 'use a hook'))).toMatchObject({
      message: 'x: changed',
      hint: 'use a hook',
    });
  });

  it('lists several reasons, each with its own advice, and shared advice once', () => {
    const error = refusal(reason('a', 'one'), reason('b', 'two'), reason('c', 'one'), reason('d'));
    expect(error.message).toBe('4 reasons:\n  a\n    hint: one\n  b\n    hint: two\n  c\n  d');
    expect(error.hint).toBeUndefined();
    expect(error.details).toMatchObject({ diagnostics: [{ hint: 'one' }, { hint: 'two' }, {}, {}] });
  });
});
