import { describe, expect, it } from 'vitest';
import { baseName, coldParent, isCopyableConstant, isNumbered, sourceName } from './base-name.ts';

describe('names that compilers make up', () => {
  it.each([
    ['tcp_ack', 'tcp_ack'],
    ['state.12', 'state'],
    ['f.isra.0', 'f.isra'],
    ['f.constprop.3.cold', 'f.constprop.cold'],
    ['__UNIQUE_ID_ddebug652.5', '__UNIQUE_ID_ddebug'],
    ['__UNIQUE_ID___addressable_f12', '__UNIQUE_ID___addressable_f'],
    ['sha256', 'sha256'],
  ])('%s is at base %s', (name, expected) => {
    expect(baseName(name)).toBe(expected);
    expect(isNumbered(name)).toBe(name !== expected);
  });

  it('knows cold parts and source functions', () => {
    expect([coldParent('f.cold'), coldParent('f.isra.0.cold.1'), coldParent('f.colder')]).toEqual([
      'f',
      'f.isra.0',
      undefined,
    ]);
    expect(sourceName('f.isra.0.cold')).toBe('f');
  });

  it('knows objects that stand for strings and compiler tables', () => {
    expect(['__func__.3', 'CSWTCH.12', '__func__er', 'names'].map(isCopyableConstant)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
