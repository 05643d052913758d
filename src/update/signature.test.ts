import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { FormatError } from '../diagnostics/error.ts';
import { LIMITS } from './limits.ts';
import { readUpdate } from './read-update.ts';
import { signUpdate } from './sign-update.ts';
import {
  encodeSignature,
  isSignedBy,
  parseSignature,
  type SignatureStatement,
  signStatement,
} from './signature.ts';
import { publicHalf } from './signing-keys.ts';
import { packMembers, readMembers } from './tar-members.ts';
import { writeUpdate } from './write-update.ts';

const FILE = 'sample.ksplice';
/** RFC 8410, 10.3: the key pair of its examples. */
const EXAMPLE = createPrivateKey(
  '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n',
);
const otherKey = generateKeyPairSync('ed25519').privateKey;

let unsigned: Uint8Array;
let signed: Uint8Array;
let statement: SignatureStatement;

beforeAll(async () => {
  unsigned = await writeUpdate(sampleUpdate());
  ({ bytes: signed, statement } = await signUpdate(unsigned, FILE, EXAMPLE, 17));
});

function signatureOf(bytes: Uint8Array): NonNullable<ReturnType<typeof readUpdate>['signature']> {
  const { signature } = readUpdate(bytes, FILE);
  if (signature === undefined) throw new Error('it is not signed');
  return signature;
}

function isGood(bytes: Uint8Array, key: KeyObject): boolean {
  return isSignedBy(signatureOf(bytes), publicHalf(key).key);
}

/** The file with another text as its signature. */
async function withSignature(change: (text: string) => string | Uint8Array): Promise<Uint8Array> {
  const members = readMembers(signed, FILE).map(({ name, bytes }) => ({
    name,
    bytes: name === 'signature' ? Buffer.from(change(Buffer.from(bytes).toString('latin1'))) : bytes,
  }));
  return await packMembers(members);
}

describe('signUpdate', () => {
  it('adds one member, and leaves all that was there as it was', () => {
    expect(readMembers(signed, FILE).at(-1)?.name).toBe('signature');
    const body = unsigned.length - 1024;
    expect(Buffer.compare(signed.subarray(0, body), unsigned.subarray(0, body))).toBe(0);
    const { signature, ...rest } = readUpdate(signed, FILE);
    const { signature: none, ...before } = readUpdate(unsigned, FILE);
    expect(rest).toEqual(before);
    expect(none).toBeUndefined();
    expect(signature?.statement).toEqual(statement);
    expect(statement).toEqual({
      id: 'sample_1',
      kernel: '6.1.0-47-cloud-amd64',
      manifest: before.digest,
      serial: 17,
      key: publicHalf(EXAMPLE).id,
    });
  });

  it('gives the same bytes for the same file, key and serial, and takes the place of an older signature', async () => {
    const again = await signUpdate(signed, FILE, EXAMPLE, 17);
    expect(Buffer.compare(again.bytes, signed)).toBe(0);
    const { bytes } = await signUpdate(signed, FILE, otherKey, 18);
    expect(readMembers(bytes, FILE).filter(({ name }) => name === 'signature')).toHaveLength(1);
    expect([isGood(bytes, otherKey), isGood(bytes, EXAMPLE)]).toEqual([true, false]);
  });

  it('does not sign what is no update', async () => {
    await expect(signUpdate(unsigned.subarray(0, -1), FILE, EXAMPLE, 1)).rejects.toThrow(FormatError);
  });
});

describe('a signature', () => {
  it('is good for its key only', () => {
    expect([isGood(signed, EXAMPLE), isGood(signed, otherKey)]).toEqual([true, false]);
  });

  it('stands for every line of its statement', () => {
    const signature = signStatement(statement, EXAMPLE);
    const key = publicHalf(EXAMPLE).key;
    expect(isSignedBy(signature, key)).toBe(true);
    const others: readonly Partial<SignatureStatement>[] = [
      { id: 'sample_2' },
      { kernel: '6.1.0-48-cloud-amd64' },
      { manifest: '0'.repeat(64) },
      { serial: 18 },
      { key: '0'.repeat(64) },
    ];
    for (const other of others) {
      expect(isSignedBy({ ...signature, statement: { ...statement, ...other } }, key)).toBe(false);
    }
  });

  it('comes back as it was written, whatever it says', () => {
    const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
    const some = fc.record({
      id: fc.stringMatching(/^[a-z0-9_]{1,32}$/),
      kernel: fc.stringMatching(/^[0-9A-Za-z._+~-]{1,64}$/),
      manifest: hex,
      serial: fc.integer({ min: 1, max: LIMITS.serial }),
      key: hex,
    });
    fc.assert(
      fc.property(some, fc.uint8Array({ minLength: 64, maxLength: 64 }), (said, bytes) => {
        const read = parseSignature(encodeSignature({ statement: said, signature: bytes }), FILE);
        expect(read.statement).toEqual(said);
        expect(Buffer.compare(read.signature, bytes)).toBe(0);
      }),
    );
  });

  it.for<readonly [string, (text: string) => string | Uint8Array]>([
    ['another version', (text) => text.replace('ksplice-signature 1', 'ksplice-signature 2')],
    ['nothing', () => ' '],
    ['a line more', (text) => `${text}\n`],
    ['a comment before it', (text) => `# good\n${text}`],
    ['a line twice', (text) => text.replace('serial 17\n', 'serial 17\nserial 18\n')],
    ['lines in another order', (text) => text.replace(/(serial .*\n)(key .*\n)/, '$2$1')],
    ['a carriage return', (text) => text.replace('serial 17', 'serial 17\r')],
    ['a leading zero', (text) => text.replace('serial 17', 'serial 017')],
    ['serial 0', (text) => text.replace('serial 17', 'serial 0')],
    ['a negative serial', (text) => text.replace('serial 17', 'serial -17')],
    ['a serial of 16 digits', (text) => text.replace('serial 17', 'serial 1000000000000000')],
    ['capitals', (text) => text.toUpperCase()],
    ['base64 that is cut', (text) => text.replace('==\n', '\n')],
    // The last digit before == has four bits that mean nothing: another spelling of the same bytes.
    [
      'base64 in another spelling',
      (text) => text.replace(/(.)==\n$/, (_, last) => `${next(String(last))}==\n`),
    ],
    ['bytes that are no UTF-8', (text) => Buffer.from(text.replace('6.1.0', '\xff.1.0'), 'latin1')],
  ])('of %s is refused with the place', async ([, change]) => {
    const altered = await withSignature(change);
    expect(() => readUpdate(altered, FILE)).toThrow(FormatError);
    expect(() => readUpdate(altered, FILE)).toThrow('signature');
  });

  it('of another update, or behind an altered one, is no signature of this file', async () => {
    const other = await writeUpdate(sampleUpdate({ description: 'something else' }));
    const signature = readMembers(signed, FILE).at(-1);
    const moved = await packMembers([
      ...readMembers(other, FILE),
      ...(signature === undefined ? [] : [signature]),
    ]);
    expect(() => readUpdate(moved, FILE)).toThrow(
      /signature: manifest: found .*, expected .* as the file has it/,
    );
    for (const [from, to, place] of [
      ['id sample_1', 'id sample_2', 'id'],
      ['-47-', '-48-', 'kernel'],
    ] as const) {
      const altered = await withSignature((text) => text.replace(from, to));
      expect(() => readUpdate(altered, FILE)).toThrow(`signature: ${place}: found`);
    }
  });

  it('has at most 1024 bytes, and is the last member', async () => {
    const long = await withSignature((text) => text + ' '.repeat(1024));
    expect(() => readUpdate(long, FILE)).toThrow(/signature: found \d+ bytes, expected at most 1024/);
    const first = readMembers(signed, FILE);
    const moved = await packMembers([...first.slice(-1), ...first.slice(0, -1)]);
    expect(() => readUpdate(moved, FILE)).toThrow('member 1: found signature');
  });
});

/** The base64 digit behind this one, which differs in the bits that are not used. */
function next(digit: string): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return digits.charAt(digits.indexOf(digit) + 1);
}
