import { describe, expect, it } from 'vitest';
import { parseModules } from './loaded-modules.ts';

describe('parseModules', () => {
  it('reads name, size, state and base; users and taints do not matter', () => {
    const text = [
      'veth 45056 0 - Live 0xffffffffc0a1b000',
      'nf_nat 61440 2 nft_chain_nat,xt_MASQUERADE, Live 0xffffffffc0900000',
      'ksplice_x 16384 0 - Loading 0xffffffffc0b00000 (OE+)',
      'going 16384 -1 - Unloading 0xffffffffc0c00000',
      '',
    ].join('\n');
    expect(parseModules(text)).toEqual([
      { name: 'veth', size: 45056, base: 0xffffffffc0a1b000n, live: true },
      { name: 'nf_nat', size: 61440, base: 0xffffffffc0900000n, live: true },
      { name: 'ksplice_x', size: 16384, base: 0xffffffffc0b00000n, live: false },
      { name: 'going', size: 16384, base: 0xffffffffc0c00000n, live: false },
    ]);
  });

  it('no modules, and lines that are cut off', () => {
    expect(parseModules('')).toEqual([]);
    expect(parseModules('veth 45056 0 - Live\n')).toEqual([]);
  });
});
