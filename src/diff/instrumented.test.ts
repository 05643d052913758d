import { describe, expect, it } from 'vitest';
import { buildObject } from '../../test/support/elf-builder.ts';
import { instrumentation } from './instrumented.ts';

function callTo(name: string): ReturnType<typeof buildObject> {
  return buildObject({
    sections: { '.text': { bytes: [0xe8, 0, 0, 0, 0], relocations: [[1, 'PLT32', name, -4]] } },
    symbols: { show: { section: '.text', type: 'func', size: 5 } },
  });
}

describe('a unit that KASAN checks', () => {
  it('is refused, by what it calls', () => {
    expect(instrumentation(callTo('__asan_load8_noabort'))).toMatchObject([
      { code: 'instrumented', severity: 'error', message: expect.stringContaining('__asan_load8_noabort') },
    ]);
  });

  it('is told from one that the kernel leaves unchecked', () => {
    expect(instrumentation(callTo('__kasan_check_read'))).toEqual([]);
  });
});
