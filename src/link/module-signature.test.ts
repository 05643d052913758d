import { expect, it } from 'vitest';
import { appendSignature } from './module-signature.ts';

it('lies behind the module, with its length and the words that the kernel looks for', () => {
  const module = Buffer.from('the module');
  const signature = Buffer.alloc(300, 0x30);
  const bytes = Buffer.from(appendSignature({ module, signature }));
  expect(bytes.subarray(0, 310).equals(Buffer.concat([module, signature]))).toBe(true);
  // struct module_signature: id_type 2 (PKCS #7), sig_len 300, big-endian.
  expect(bytes.subarray(310, 322).toString('hex')).toBe('00000200000000000000012c');
  expect(bytes.subarray(322).toString('latin1')).toBe('~Module signature appended~\n');
});
