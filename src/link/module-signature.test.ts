import { describe, expect, it } from 'vitest';
import { appendSignature, splitSignature } from './module-signature.ts';

const module = Buffer.from('the module');
const signature = Buffer.alloc(300, 0x30);

describe('a signature of a module', () => {
  it('lies behind it, with its length and the words that the kernel looks for', () => {
    const bytes = Buffer.from(appendSignature({ module, signature }));
    expect(bytes.subarray(0, 310).equals(Buffer.concat([module, signature]))).toBe(true);
    // struct module_signature: id_type 2 (PKCS #7), sig_len 300, big-endian.
    expect(bytes.subarray(310, 322).toString('hex')).toBe('00000200000000000000012c');
    expect(bytes.subarray(322).toString('latin1')).toBe('~Module signature appended~\n');
    expect(splitSignature(bytes, 'a.ko')).toEqual({ module, signature });
  });

  it('is absent from a module without one', () => {
    expect(splitSignature(module, 'a.ko')).toBeUndefined();
    expect(splitSignature(new Uint8Array(), 'a.ko')).toBeUndefined();
  });

  it.for([
    ['longer than the file', 310 + 9, 1],
    ['of length 0', 310 + 10, 0],
    ['of another kind', 310 + 2, 1],
  ] as const)('is refused if it is %s', ([, at, value]) => {
    const bytes = Buffer.from(appendSignature({ module, signature }));
    bytes[at] = value;
    if (value === 0) bytes[at + 1] = 0;
    expect(() => splitSignature(bytes, 'a.ko')).toThrow(/^a\.ko: a signature that the kernel would not/);
  });
});
