import { describe, expect, it } from 'vitest';
import { messageOfCore } from './kernel-log.ts';

describe('messageOfCore', () => {
  it('is what follows the name in a record of the core', () => {
    expect(messageOfCore('6,1234,5678901,-;ksplice: fix: apply, attempt 1: code_busy; 50 tasks\n')).toBe(
      'fix: apply, attempt 1: code_busy; 50 tasks',
    );
    // Dictionary lines belong to the record, and are not the message.
    expect(messageOfCore('6,1,2,-;ksplice: fix:   held+0x3/0x60 [held]\n SUBSYSTEM=module\n')).toBe(
      'fix:   held+0x3/0x60 [held]',
    );
  });

  it('is nothing for what others write, though they speak of it', () => {
    expect(messageOfCore('5,9,9,-;audit: ksplice: x')).toBeUndefined();
    expect(messageOfCore('5,9,9,-;a line; ksplice: x')).toBeUndefined();
    expect(messageOfCore('')).toBeUndefined();
  });
});
