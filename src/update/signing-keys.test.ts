import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { FormatError, UsageError } from '../diagnostics/error.ts';
import { signUpdate } from './sign-update.ts';
import {
  encodePublicKey,
  generateKeys,
  parsePrivateKey,
  parsePublicKey,
  publicHalf,
  shortKeyId,
} from './signing-keys.ts';
import { readMembers } from './tar-members.ts';
import { writeUpdate } from './write-update.ts';

const made = generateKeys();
const encrypted = generateKeys('correct horse');

describe('keys', () => {
  it('are made, and read again, with and without a passphrase', () => {
    const half = publicHalf(parsePrivateKey(made.private, 'k'));
    expect(half.id).toBe(parsePublicKey(made.public, 'k.pem').id);
    expect(half.id).toMatch(/^[0-9a-f]{64}$/);
    expect(encodePublicKey(half)).toBe(made.public);
    expect(shortKeyId(half.id)).toHaveLength(16);
    expect(encrypted.private).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    expect(publicHalf(parsePrivateKey(encrypted.private, 'k', 'correct horse')).id).toBe(
      parsePublicKey(encrypted.public, 'k.pem').id,
    );
    expect(made.private).not.toBe(generateKeys().private);
  });

  it('of openssl are read, and openssl verifies what is signed', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'ksplice-keys-'));
    const at = (name: string): string => path.join(folder, name);
    try {
      execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', at('key')]);
      execFileSync('openssl', ['pkey', '-in', at('key'), '-pubout', '-out', at('key.pem')]);
      const key = parsePrivateKey(readFileSync(at('key'), 'utf8'), 'key');
      expect(publicHalf(key).id).toBe(parsePublicKey(readFileSync(at('key.pem'), 'utf8'), 'key.pem').id);

      const { bytes } = await signUpdate(await writeUpdate(sampleUpdate()), 'u.ksplice', key, 5);
      const member = Buffer.from(readMembers(bytes, 'u.ksplice').at(-1)?.bytes ?? []).toString();
      const lines = member.split('\n');
      writeFileSync(at('statement'), `${lines.slice(0, 6).join('\n')}\n`);
      writeFileSync(at('raw'), Buffer.from((lines[6] ?? '').replace('ed25519 ', ''), 'base64'));
      const verify = ['-verify', '-pubin', '-inkey', at('key.pem'), '-rawin', '-in', at('statement')];
      const said = execFileSync('openssl', ['pkeyutl', ...verify, '-sigfile', at('raw')], {
        encoding: 'utf8',
      });
      expect(said).toContain('Verified Successfully');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('that are encrypted want the right passphrase', () => {
    expect(() => parsePrivateKey(encrypted.private, 'k')).toThrow(UsageError);
    expect(() => parsePrivateKey(encrypted.private, 'k')).toThrow('k: the key is encrypted');
    expect(() => parsePrivateKey(encrypted.private, 'k', 'wrong')).toThrow('cannot be decrypted');
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const curve = generateKeyPairSync('x25519');
  it.for<readonly [string, string, string]>([
    ['a private key', made.private, 'it must not lie here'],
    ['an encrypted private key', encrypted.private, 'it must not lie here'],
    ['an RSA key', rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'key generate'],
    [
      'a key for agreement',
      curve.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      'key generate',
    ],
    ['two keys', `${made.public}${encrypted.public}`, 'key public'],
    ['text before it', `# mine\n${made.public}`, 'key public'],
    ['nothing', '', 'key public'],
    ['no key in it', made.public.replace(/\n.*\n-/, '\nAAAA\n-'), 'get the file again'],
    ['a certificate', made.public.replaceAll('PUBLIC KEY', 'CERTIFICATE'), 'key public'],
  ])('%s is no public key', ([, text, hint]) => {
    let error: unknown;
    try {
      parsePublicKey(text, 'keys.d/x.pem');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toMatchObject({
      code: 'malformed_key',
      message: expect.stringContaining('keys.d/x.pem: found'),
      hint: expect.stringContaining(hint),
    });
  });

  it.for<readonly [string, string, string]>([
    ['the public half', made.public, 'private one'],
    ['an RSA key', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'key generate'],
    ['nothing', '', 'key generate'],
    ['a damaged one', made.private.replace(/\n.*\n-/, '\nAAAA\n-'), 'backup'],
  ])('%s is no private key', ([, text, hint]) => {
    expect(() => parsePrivateKey(text, 'k')).toThrow(FormatError);
    expect(() => parsePrivateKey(text, 'k')).toThrow(
      expect.objectContaining({ code: 'malformed_key', hint: expect.stringContaining(hint) }),
    );
  });
});
