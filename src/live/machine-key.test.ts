import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { demandsSignatures, MODULE_SIGNING, machineSigner, parseMachineKey } from './machine-key.ts';

describe('parseMachineKey', () => {
  it('reads key, certificate and hash, in any order', () => {
    const text = '# ours\nhash = sha512\n\nkey = /a/k.pem\n certificate=/a/c.der\n';
    expect(parseMachineKey(text, 'f')).toEqual({ key: '/a/k.pem', certificate: '/a/c.der', hash: 'sha512' });
    expect(parseMachineKey('key = /k\ncertificate = /c\n', 'f').hash).toBe('sha256');
  });

  it.for([
    ['another word', 'keys = /k', /^f:1: found "keys = \/k"/],
    ['a path that is relative', 'key = k.pem', /^f:1: found/],
    ['a hash that no kernel has', 'key = /k\nhash = md5', /^f:2: found/],
    ['a key twice', 'key = /k\nkey = /k', /^f:2: found/],
    ['no key', 'certificate = /c\n', /^f:2: found no key/],
    ['no certificate', 'key = /k', /^f:1: found no certificate/],
  ] as const)('refuses %s', ([, text, message]) => {
    expect(() => parseMachineKey(text, 'f')).toThrow(message);
  });
});

describe('the key of a machine', () => {
  let root: string;

  function write(file: string, text: string): void {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(root, file), text, { mode: 0o600 });
  }

  beforeAll(() => {
    root = mkdtempSync(path.join(tmpdir(), 'ksplice-machine-key-'));
    mkdirSync(path.join(root, 'var/lib/dkms'), { recursive: true });
    const request =
      'req -new -x509 -newkey rsa:2048 -nodes -subj /CN=dkms/ -outform DER -keyout mok.key -out mok.pub';
    execFileSync('openssl', request.split(' '), { cwd: path.join(root, 'var/lib/dkms'), stdio: 'pipe' });
  });

  beforeEach(() => {
    for (const each of ['etc', 'sys']) rmSync(path.join(root, each), { recursive: true, force: true });
  });

  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it.for([
    ['lockdown=integrity', 'sys/kernel/security/lockdown', 'none [integrity] confidentiality\n'],
    ['module.sig_enforce', 'sys/module/module/parameters/sig_enforce', 'Y\n'],
  ] as const)('is that of DKMS where the kernel asks for signatures: %s', ([why, file, text]) => {
    expect(machineSigner(root)).toBeUndefined();
    write(file, text);
    expect(demandsSignatures(root)).toBe(why);
    expect(machineSigner(root)?.subject).toBe('CN=dkms');
  });

  it('is not asked for by a kernel that takes any module', () => {
    write('sys/kernel/security/lockdown', '[none] integrity confidentiality\n');
    write('sys/module/module/parameters/sig_enforce', 'N\n');
    expect(demandsSignatures(root)).toBeUndefined();
    expect(machineSigner(root)).toBeUndefined();
  });

  it('is the one that the file names, whatever the kernel asks for', () => {
    write(MODULE_SIGNING, 'key = /var/lib/dkms/mok.key\ncertificate = /var/lib/dkms/mok.pub\n');
    expect(machineSigner(root)?.subject).toBe('CN=dkms');
    write(MODULE_SIGNING, 'key = /var/lib/dkms/mok.key\ncertificate = /nowhere\n');
    expect(() => machineSigner(root)).toThrow(/nowhere: not there, to sign modules/);
  });
});
