import { describe, expect, it } from 'vitest';
import { BusyError, MatchError, MissingError } from '../diagnostics/error.ts';
import { asKspliceError, errorJson, errorText } from './error-text.ts';

describe('errorText', () => {
  it('is the message and the hint', () => {
    const error = new MatchError('no_match', 'fs/pipe.o: pipe_read+0x4: found 90, expected cc', {
      hint: 'boot the kernel that the update was made for',
    });
    expect(errorText(error)).toBe(
      'ksplice: fs/pipe.o: pipe_read+0x4: found 90, expected cc\nhint: boot the kernel that the update was made for\n',
    );
  });

  it('is the message and what helps with its code, where it has no hint', () => {
    expect(errorText(new MatchError('failed_to_find', 'no x'))).toMatch(
      /^ksplice: no x\nhint: make the update anew, .*\n$/,
    );
    expect(errorJson(new MissingError('no_livepatch', 'no'))).toEqual({
      code: 'no_livepatch',
      message: 'no',
      hint: 'ksplice apply --engine jump',
    });
  });

  it('is the message alone where there is nothing to do', () => {
    const error = new BusyError('interrupted', 'interrupted; nothing was left behind');
    expect(errorText(error)).toBe('ksplice: interrupted; nothing was left behind\n');
    expect(errorJson(error)).toEqual({ code: 'interrupted', message: error.message });
  });

  it('has the stack and the causes when verbose', () => {
    const cause = new RangeError('deep inside');
    const text = errorText(asKspliceError(cause), true);
    expect(text).toContain('error-text.test.ts');
    expect(text).toContain('caused by: RangeError: deep inside');
  });
});

describe('asKspliceError', () => {
  it('asks for a report of what nobody threw on purpose', () => {
    for (const thrown of [new TypeError('x is undefined'), 'text', undefined]) {
      const error = asKspliceError(thrown);
      expect(error.exitCode).toBe(70);
      expect(errorJson(error)).toMatchObject({ code: 'unexpected', hint: expect.stringContaining('report') });
    }
  });

  it('leaves our own errors alone', () => {
    const error = new MatchError('no_match', 'no', { hint: 'yes', details: { unit: 'fs/pipe.o' } });
    expect(asKspliceError(error)).toBe(error);
    expect(errorJson(error)).toEqual({
      code: 'no_match',
      message: 'no',
      hint: 'yes',
      details: { unit: 'fs/pipe.o' },
    });
  });
});
