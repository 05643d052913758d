/** Which of several places a unit is matched at, and what weak functions have to do with it. */
import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import type { FakeKernel } from '../../test/support/fake-kernel.ts';
import { hexToBytes } from '../../test/support/hex-table.ts';
import { smallKernel } from '../../test/support/small-kernel.ts';
import type { ObjectFile } from '../elf/model.ts';
import { matchUnit } from './match-unit.ts';

const TEXT = 0xffffffff81234000n;

const hexOf = (value: bigint | undefined): string | undefined => value?.toString(16);

function outcomeOf(object: ObjectFile, kernel: FakeKernel): string {
  const result = matchUnit(object, kernel);
  if (result.kind === 'match') return 'match';
  const { mismatch } = result;
  return mismatch.kind === 'code'
    ? `${mismatch.name}+${mismatch.offset}`
    : `${mismatch.name}: found ${mismatch.found}, expected ${mismatch.expected}`;
}

/** A unit of one static function, and copies of code under its name. */
function ambiguous(...copies: readonly (readonly [at: bigint, code: string])[]): string {
  const object = buildObject({
    sections: { '.text': { bytes: hexToBytes('31 c0 ff c0 c3') } },
    symbols: { show: { section: '.text', type: 'func', size: 5 } },
  });
  const kernel = smallKernel();
  for (const [at, code] of copies) kernel.define('show', kernel.map(at, hexToBytes(code)), 't');
  const result = matchUnit(object, kernel);
  return result.kind === 'match'
    ? [...result.text.values()].map(({ base }) => base.toString(16)).join()
    : outcomeOf(object, kernel);
}

describe('a name that several functions have', () => {
  it('an ambiguous static name is settled by the bytes', () => {
    const [a, b, c] = [TEXT, TEXT + 0x1000n, TEXT + 0x2000n] as const;
    expect(ambiguous([a, '31 c0 ff c8 c3'], [b, '31 c0 ff c0 c3'], [c, '90 90 90 90 90'])).toBe(
      b.toString(16),
    );
    // Nothing tells which of two equal ones it is: it has no place.
    expect(ambiguous([a, '31 c0 ff c0 c3'], [b, '31 c0 ff c0 c3'])).toBe('');
    // Where none fits, the one that agrees longest is reported.
    expect(ambiguous([a, '90 c0 ff c0 c3'], [b, '31 c0 ff c0 c2'], [c, '31 c1 ff c0 c3'])).toBe('show+4');
  });
});

describe('weak functions', () => {
  const weak: ObjectRecord = {
    sections: {
      // user: call hook; ret. hook: ret
      '.text': { bytes: hexToBytes('e8 00 00 00 00 c3 cc cc c3'), relocations: [[1, 'PLT32', 'hook', -4]] },
    },
    symbols: {
      user: { section: '.text', type: 'func', size: 6, binding: 'global' },
      hook: { section: '.text', value: 8, type: 'func', size: 1, binding: 'weak' },
    },
  };

  it('a weak function that a strong one overrides is no anchor, and its users call the other', () => {
    const object = buildObject(weak);
    const kernel = smallKernel();
    kernel.define('hook', 0xffffffff81e00000n);
    kernel.load(object, { '.text': TEXT });
    const result = matchUnit(object, kernel);
    expect(result.kind === 'match' && hexOf(result.values.get('hook'))).toBe('ffffffff81e00000');
    kernel.forget('hook');
    kernel.define('hook', 0xffffffff81e00010n);
    expect(outcomeOf(object, kernel)).toMatch(/^hook: /);
  });

  it('a weak function that nothing overrides', () => {
    const object = buildObject(weak);
    const kernel = smallKernel();
    kernel.load(object, { '.text': TEXT });
    const result = matchUnit(object, kernel);
    expect(result.kind === 'match' && hexOf(result.values.get('hook'))).toBe(hexOf(TEXT + 8n));
  });

  it('a weak reference to what this kernel does not have', () => {
    const object = buildObject({
      sections: {
        '.text': { bytes: hexToBytes('48 c7 c0 00 00 00 00 c3'), relocations: [[3, '32S', 'absent', 0]] },
      },
      symbols: { f: { section: '.text', type: 'func', size: 8 }, absent: { binding: 'weak' } },
    });
    const kernel = smallKernel();
    kernel.define('f', kernel.map(TEXT, hexToBytes('48 c7 c0 00 00 00 00 c3')), 't');
    expect(outcomeOf(object, kernel)).toBe('match');
    kernel.define('absent', 0xffffffff81e00000n);
    expect(outcomeOf(object, kernel)).toMatch(/^absent: /);
  });
});
