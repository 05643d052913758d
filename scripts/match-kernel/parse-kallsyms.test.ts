import { expect, test } from 'vitest';
import { parseKallsyms } from './parse-kallsyms.ts';

test('symbols of the kernel and of modules', () => {
  const text = `ffffffff81000000 T _text
ffffffffc0201000 t veth_open\t[veth]
ffffffffc0300000 t bpf_prog_6deef7357e7b4530\t[bpf]
`;
  expect([...parseKallsyms(text)]).toEqual([
    { name: '_text', type: 'T', address: 0xffffffff81000000n, module: undefined },
    { name: 'veth_open', type: 't', address: 0xffffffffc0201000n, module: 'veth' },
    { name: 'bpf_prog_6deef7357e7b4530', type: 't', address: 0xffffffffc0300000n, module: 'bpf' },
  ]);
});
