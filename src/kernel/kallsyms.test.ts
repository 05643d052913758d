import { describe, expect, it } from 'vitest';
import { toAddress } from './address.ts';
import { areAddressesHidden, findSymbols, nearestSymbol } from './kallsyms.ts';

const TEXT = [
  '0000000000000000 A fixed_percpu_data',
  'ffffffff81000000 T _text',
  'ffffffff81000010 t show',
  'ffffffff81000020 t show',
  'ffffffff81000030 T longer_name',
  'ffffffffc0001000 t show\t[veth]',
  'ffffffffc0001040 t veth_open\t[veth]',
  '',
].join('\n');

function found(...names: readonly string[]): readonly (readonly [string, string, string | undefined])[] {
  return [...findSymbols(TEXT, new Set(names)).values()]
    .flat()
    .map(({ name, address, module }) => [name, address.toString(16), module]);
}

describe('findSymbols', () => {
  it('gives every symbol of a name, in order, with the module of those that are not built in', () => {
    expect(found('show')).toEqual([
      ['show', 'ffffffff81000010', undefined],
      ['show', 'ffffffff81000020', undefined],
      ['show', 'ffffffffc0001000', 'veth'],
    ]);
  });

  it('takes whole names only', () => {
    expect(found('sho', 'longer_nam', 'onger_name', 'eth_open')).toEqual([]);
    expect(found('longer_name', 'veth_open')).toHaveLength(2);
  });

  it('reads per-CPU offsets and a last line without its end', () => {
    expect(found('fixed_percpu_data')).toEqual([['fixed_percpu_data', '0', undefined]]);
    const cut = findSymbols('ffffffff81000000 T _text', new Set(['_text']));
    expect(cut.get('_text')?.[0]?.address).toBe(0xffffffff81000000n);
  });
});

describe('areAddressesHidden', () => {
  it('is not fooled by per-CPU symbols, whose values are small', () => {
    expect(areAddressesHidden(TEXT)).toBe(false);
  });

  it('sees that all text is at zero', () => {
    expect(areAddressesHidden(TEXT.replaceAll(/^[0-9a-f]{16}/gm, '0'.repeat(16)))).toBe(true);
  });
});

describe('nearestSymbol', () => {
  it('is the last one at or below', () => {
    expect(nearestSymbol(TEXT, toAddress(0xffffffff8100002fn))?.address).toBe(0xffffffff81000020n);
  });

  it('is none far away from all', () => {
    expect(nearestSymbol(TEXT, toAddress(0xffffffff90000000n))).toBeUndefined();
  });
});
