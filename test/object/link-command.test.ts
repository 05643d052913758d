/**
 * `ksplice link` for a kernel in its file: the same module each time, and signed as the kernel's own sign-file would.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { FIXED_FUNCTION, UPDATE_ID, updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir, testImage } from '../support/vm/test-kernel.ts';

const PASSPHRASE = 'correct horse';

describe('ksplice link', () => {
  let folder: string;
  let bundle: string;
  let update: string;
  let image: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ksplice-link-'));
    [bundle, update, image] = [await hostBundle(), await updateFile(), await testImage()];
    const openssl = (...args: readonly string[]): void => {
      execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    };
    // As DKMS makes them: the certificate is DER.
    const request = 'req -new -x509 -newkey rsa:2048 -nodes -days 100 -subj /CN=machine/ -outform DER'.split(
      ' ',
    );
    openssl(...request, '-keyout', 'mok.key', '-out', 'mok.pub');
    openssl('x509', '-inform', 'DER', '-in', 'mok.pub', '-out', 'mok.pem');
    openssl('rsa', '-in', 'mok.key', '-aes256', '-passout', `pass:${PASSPHRASE}`, '-out', 'encrypted.key');
    openssl('genpkey', '-algorithm', 'rsa', '-out', 'other.key');
    openssl('genpkey', '-algorithm', 'ed25519', '-out', 'ed25519.key');
    for (const name of ['mok.key', 'encrypted.key', 'other.key', 'ed25519.key']) {
      execFileSync('chmod', ['600', name], { cwd: folder });
    }
    writeFileSync(join(folder, 'passphrase'), `${PASSPHRASE}\n`);
  }, 600_000);

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function link(
    ...flags: readonly string[]
  ): Promise<{ readonly exitCode: number; readonly json: unknown }> {
    const argv = ['link', update, '--image', image, '--json', ...flags];
    const { exitCode, stdout } = await hostKsplice(bundle, argv, folder);
    return { exitCode, json: JSON.parse(stdout) };
  }

  function read(name: string): Buffer {
    return readFileSync(join(folder, name));
  }

  it('makes the same module each time, for the loader of exactly that kernel', async () => {
    expect(await link('-o', 'a.ko')).toMatchObject({
      exitCode: 0,
      json: { id: UPDATE_ID, functions: [FIXED_FUNCTION], signedBy: null, kernel: { release: TEST_RELEASE } },
    });
    expect((await link('-o', 'b.ko')).exitCode).toBe(0);
    expect(read('a.ko').equals(read('b.ko'))).toBe(true);
    const information = execFileSync('modinfo', ['./a.ko'], { cwd: folder, encoding: 'utf8' });
    expect(information).toMatch(
      new RegExp(`^vermagic: +${TEST_RELEASE} SMP preempt mod_unload modversions `, 'm'),
    );
    expect(information).toMatch(/^livepatch: +Y$/m);
    const symbols = execFileSync('readelf', ['-sW', 'a.ko'], { cwd: folder, encoding: 'utf8' });
    expect(symbols).toContain(`.klp.sym.vmlinux.${FIXED_FUNCTION},0`);
    expect(symbols).toMatch(/ UND klp_enable_patch$/m);
    expect(symbols).not.toMatch(/ffffffff/);
  });

  it('signs as sign-file of the kernel does, byte for byte, and openssl verifies it', async () => {
    const { source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir(), parts: ['source'] });
    const compile = ['-w', '-o', 'sign-file', join(source, 'scripts', 'sign-file.c'), '-lcrypto'];
    execFileSync('gcc', compile, { cwd: folder });
    for (const hash of ['sha256', 'sha512']) {
      const flags = [
        '-o',
        'signed.ko',
        '--sign-key',
        'mok.key',
        '--sign-cert',
        'mok.pub',
        '--sign-hash',
        hash,
      ];
      expect(await link(...flags)).toMatchObject({ exitCode: 0, json: { signedBy: 'CN=machine' } });
      execFileSync('./sign-file', [hash, 'mok.key', 'mok.pem', 'a.ko', 'theirs.ko'], { cwd: folder });
      expect(read('signed.ko').equals(read('theirs.ko')), hash).toBe(true);
    }
    // The module, the signature, and 40 bytes that tell the signature's length.
    const signed = read('signed.ko');
    const { length } = read('a.ko');
    expect(read('a.ko').equals(signed.subarray(0, length))).toBe(true);
    writeFileSync(join(folder, 'signature'), signed.subarray(length, -40));
    const verify =
      'cms -verify -binary -inform DER -in signature -certfile mok.pem -noverify -out /dev/null -content'.split(
        ' ',
      );
    execFileSync('openssl', [...verify, 'a.ko'], { cwd: folder, stdio: 'pipe' });
    writeFileSync(join(folder, 'altered.ko'), Buffer.concat([read('a.ko'), Buffer.from('x')]));
    expect(() =>
      execFileSync('openssl', [...verify, 'altered.ko'], { cwd: folder, stdio: 'pipe' }),
    ).toThrow();
  });

  it('takes the passphrase of an encrypted key from a file, and never asks', async () => {
    const flags = [
      '-o',
      'encrypted.ko',
      '--sign-key',
      'encrypted.key',
      '--sign-cert',
      'mok.pub',
      '--sign-hash',
      'sha512',
    ];
    expect(await link(...flags)).toMatchObject({
      exitCode: 64,
      json: { message: expect.stringContaining('encrypted.key: the key is encrypted') },
    });
    expect((await link(...flags, '--passphrase-file', 'passphrase')).exitCode).toBe(0);
    expect(read('encrypted.ko').equals(read('signed.ko'))).toBe(true);
    writeFileSync(join(folder, 'wrong'), 'wrong\n');
    expect(await link(...flags, '--passphrase-file', 'wrong')).toMatchObject({
      exitCode: 65,
      json: { code: 'malformed_key', message: expect.stringContaining('that this passphrase opens') },
    });
  });

  it.for([
    ['a key without its certificate', ['--sign-key', 'mok.key'], 64, /--sign-key goes with a key and its/],
    [
      'a certificate of another key',
      ['--sign-key', 'other.key', '--sign-cert', 'mok.pub'],
      64,
      /is not the certificate/,
    ],
    [
      'a key of a kind that no kernel takes',
      ['--sign-key', 'ed25519.key', '--sign-cert', 'mok.pub'],
      65,
      /type ed25519/,
    ],
    ['a certificate that is none', ['--sign-key', 'mok.key', '--sign-cert', 'passphrase'], 65, /no X\.509/],
  ] as const)('refuses %s, and writes nothing', async ([, flags, status, message]) => {
    const { exitCode, json } = await link('-o', 'nothing.ko', ...flags);
    expect(exitCode).toBe(status);
    expect(json).toMatchObject({ message: expect.stringMatching(message) });
    expect(() => read('nothing.ko')).toThrow(/ENOENT/);
  });

  it('refuses a private key that others may read', async () => {
    execFileSync('chmod', ['644', 'other.key'], { cwd: folder });
    expect(await link('--sign-key', 'other.key', '--sign-cert', 'mok.pub')).toMatchObject({
      exitCode: 2,
      json: { code: 'unsafe_file' },
    });
  });
});
