import { describe, expect, it } from 'vitest';
import { toAddress } from './address.ts';
import { areAddressesHidden, findSymbols, nearestSymbol } from './kallsyms.ts';

const text = [
  '0000000000000000 A fixed_percpu_data',
  '000000000001fb80 A current_task',
  'ffffffff81000000 T _text',
  'ffffffff81001000 t show',
  'ffffffff81002000 T printk',
  'ffffffff81003000 t show',
  'ffffffff81003000 W weak_alias',
  'ffffffff82000000 d names.0',
  'ffffffffc0a1b000 t show\t[veth]',
  'ffffffffc0a1b100 t veth_open\t[veth]',
  'ffffffffc0b00000 t bpf_prog_6deef7357e7b4530\t[bpf]',
  '',
].join('\n');

const find = (...names: string[]): ReturnType<typeof findSymbols> => findSymbols(text, new Set(names));

describe('findSymbols', () => {
  it('gives address, type and module', () => {
    expect(find('printk').get('printk')).toEqual([
      { name: 'printk', address: 0xffffffff81002000n, type: 'T', module: undefined },
    ]);
    expect(find('veth_open').get('veth_open')).toEqual([
      { name: 'veth_open', address: 0xffffffffc0a1b100n, type: 't', module: 'veth' },
    ]);
  });

  it('gives every symbol of an ambiguous name, in order, with its module', () => {
    const found = find('show').get('show') ?? [];
    expect(found.map(({ address, module }) => [address.toString(16), module])).toEqual([
      ['ffffffff81001000', undefined],
      ['ffffffff81003000', undefined],
      ['ffffffffc0a1b000', 'veth'],
    ]);
  });

  it('gives several names at once, and only these', () => {
    const found = find('current_task', 'weak_alias', 'names.0', 'absent');
    expect([...found.keys()].sort()).toEqual(['current_task', 'names.0', 'weak_alias']);
    expect(found.get('current_task')?.[0]?.address).toBe(0x1fb80n);
  });

  it('neither beginning nor end of a name is the name', () => {
    expect(find('prin', 'rintk', 'printk2', 'veth', 'show\t[veth]', '', '[veth]').size).toBe(0);
  });

  it('the last line may lack its newline', () => {
    const last = 'ffffffff81000000 T first\nffffffff81000010 T last';
    expect(findSymbols(last, new Set(['last'])).get('last')?.[0]?.address).toBe(0xffffffff81000010n);
    const module = 'ffffffffc0000000 t last\t[m]';
    expect(findSymbols(module, new Set(['last'])).get('last')?.[0]?.module).toBe('m');
  });

  it('names as long as the kernel allows, and longer ones of another kernel', () => {
    for (const length of [127, 128, 255, 256, 511]) {
      const name = 'x'.repeat(length);
      const line = `ffffffff81000000 T ${name}\nffffffff81000010 t ${name}\t[long_module]\n`;
      expect(findSymbols(line, new Set([name])).get(name)?.length, String(length)).toBe(2);
    }
    const name = 'y'.repeat(600);
    expect(findSymbols(`ffffffff81000000 T ${name}\n`, new Set([name, 'printk'])).size).toBe(0);
  });

  it('takes no harm from lines that are cut off', () => {
    const broken = 'ffffffff81\n\nffffffff81000000 T printk\nffffffff8100';
    expect(findSymbols(broken, new Set(['printk'])).get('printk')?.length).toBe(1);
  });

  it('a name may end in a bracket without being a module', () => {
    expect(findSymbols('ffffffff81000000 T odd]\n', new Set(['odd]'])).get('odd]')).toMatchObject([
      { module: undefined },
    ]);
  });
});

describe('areAddressesHidden', () => {
  it('when all of them are zero', () => {
    const hidden = text.replaceAll(/^[0-9a-f]{16}/gm, '0'.repeat(16));
    expect(areAddressesHidden(hidden)).toBe(true);
  });

  it('not when only the per-CPU ones are small', () => {
    expect(areAddressesHidden(text)).toBe(false);
    expect(areAddressesHidden(text.split('\n').slice(2).join('\n'))).toBe(false);
  });
});

const nearest = (at: bigint): string | undefined => nearestSymbol(text, toAddress(at))?.name;

describe('nearestSymbol', () => {
  it('is the last one at or below the address', () => {
    expect(nearest(0xffffffff81002000n)).toBe('printk');
    expect(nearest(0xffffffff81002fffn)).toBe('printk');
    expect(nearest(0xffffffff81001fffn)).toBe('show');
    expect(nearest(0xffffffffc0a1b101n)).toBe('veth_open');
  });

  it('is none where the nearest is far away', () => {
    expect(nearest(0xffffffff81103001n)).toBeUndefined();
    expect(nearest(0xffffffff80ffffffn)).toBeUndefined();
  });
});
