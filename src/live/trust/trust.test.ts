import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FormatError, RefusedError, UsageError } from '../../diagnostics/error.ts';
import { generateKeys, type PublicKey, parsePublicKey, shortKeyId } from '../../update/signing-keys.ts';
import { revokeKey, trustKey } from './change-trust.ts';
import { signatureLook } from './look.ts';
import { parsePolicy } from './policy.ts';
import { readTrust, type TrustPaths, trustPaths } from './trust.ts';

let paths: TrustPaths;

beforeEach(() => {
  // The root of the tests stands for /: what lies above it is not looked at.
  paths = trustPaths(mkdtempSync(path.join(tmpdir(), 'ksplice-trust-')));
});
afterEach(() => {
  rmSync(paths.root, { recursive: true, force: true });
});

function newKey(): PublicKey {
  return parsePublicKey(generateKeys().public, 'new');
}

function writePolicy(text: string): void {
  mkdirSync(paths.directory, { recursive: true });
  writeFileSync(paths.policy, text);
}

describe('the policy', () => {
  it.for(['require', 'warn', 'off'] as const)('is %s where the file says so', (mode) => {
    writePolicy(`# what we ask\n\n  signatures\t=  ${mode}  \r\n`);
    trustKey(paths, 'one', newKey());
    expect(readTrust(paths)).toMatchObject({ mode, hasPolicy: true });
  });

  it('is off where nothing was set up, and warn where a key is trusted or was revoked', () => {
    expect(readTrust(paths)).toMatchObject({ mode: 'off', hasPolicy: false });
    const key = newKey();
    trustKey(paths, 'one', key);
    expect(readTrust(paths)).toMatchObject({ mode: 'warn', hasPolicy: false });
    revokeKey(paths, 'one');
    expect(readTrust(paths)).toMatchObject({ mode: 'warn', keys: [] });
  });

  it.for([
    ['', 'policy:1: found no line that says anything'],
    ['# signatures = require\n', 'found no line that says anything'],
    [
      'signatures = required\n',
      'policy:1: found "signatures = required", expected signatures = require, warn, off',
    ],
    ['signatures = require # sure\n', 'policy:1: found'],
    ['signatures require\n', 'policy:1: found'],
    ['Signatures = require\n', 'policy:1: found'],
    ['signatures = \n', 'policy:1: found'],
    ['\nsignature = require\n', 'policy:2: found "signature = require"'],
    ['signatures = require\nkeys = all\n', 'policy:2: found "keys = all"'],
    ['signatures = off\nsignatures = require\n', 'policy:2: found signatures a second time'],
    ['signatures = off\u001b[2J\n', '\\u001b'],
    ['signatures = off\0', 'policy:1: found'],
  ])('%j is refused with its line', ([text = '', expected = '']) => {
    expect(() => parsePolicy(text, 'policy')).toThrow(FormatError);
    expect(() => parsePolicy(text, 'policy')).toThrow(expected);
  });
});

describe('keys', () => {
  it('are trusted by name, once', () => {
    const [one, two] = [newKey(), newKey()];
    expect(trustKey(paths, 'one', one)).toBe('one');
    expect(trustKey(paths, 'again', one)).toBe('one');
    expect(() => trustKey(paths, 'one', two)).toThrow(UsageError);
    trustKey(paths, 'two', two);
    expect(readTrust(paths).keys.map(({ name, id }) => [name, id])).toEqual([
      ['one', one.id],
      ['two', two.id],
    ]);
    expect(readdirSync(paths.keys)).toEqual(['one.pem', 'two.pem']);
    expect(statSync(path.join(paths.keys, 'one.pem')).mode & 0o777).toBe(0o644);
  });

  it.for(['', '.', '../x', 'a/b', '.hidden', 'a b', 'x'.repeat(65), 'a\n'])('cannot be called %j', (name) => {
    expect(() => trustKey(paths, name, newKey())).toThrow(UsageError);
  });

  it('are revoked by name, number, or whole SHA-256, for good', () => {
    const keys = [newKey(), newKey(), newKey()];
    keys.forEach((key, index) => trustKey(paths, `k${index}`, key));
    const stranger = newKey();
    for (const wanted of ['k0', shortKeyId(keys[1]?.id ?? ''), keys[2]?.id ?? '', stranger.id]) {
      expect(revokeKey(paths, wanted)).toMatch(/^[0-9a-f]{64}$/);
    }
    expect(readdirSync(paths.keys)).toEqual([]);
    const { revoked } = readTrust(paths);
    expect([...revoked].toSorted()).toEqual([...keys, stranger].map(({ id }) => id).toSorted());
    expect(() => trustKey(paths, 'again', stranger)).toThrow(RefusedError);
    // Whatever is put beside the list.
    writeFileSync(path.join(paths.keys, 'back.pem'), stranger.key.export({ type: 'spki', format: 'pem' }));
    expect(readTrust(paths).keys).toEqual([]);
    expect(() => revokeKey(paths, 'k0')).toThrow('k0: no key of this name');
  });

  it('that cannot be read make the whole of it unreadable, by name', () => {
    trustKey(paths, 'one', newKey());
    writeFileSync(path.join(paths.keys, 'README'), 'not looked at');
    expect(readTrust(paths).keys).toHaveLength(1);
    writeFileSync(path.join(paths.keys, 'two.pem'), generateKeys().private);
    expect(() => readTrust(paths)).toThrow(/two\.pem: found a private key/);
    rmSync(path.join(paths.keys, 'two.pem'));
    writeFileSync(paths.revoked, '# none\nabc\n');
    expect(() => readTrust(paths)).toThrow(/revoked:2: found "abc"/);
  });
});

describe('files that others than root may have written', () => {
  const all = [
    '',
    'etc',
    'etc/ksplice',
    'etc/ksplice/keys.d',
    'etc/ksplice/keys.d/one.pem',
    'etc/ksplice/policy',
    'etc/ksplice/revoked',
  ];

  beforeEach(() => {
    trustKey(paths, 'one', newKey());
    revokeKey(paths, newKey().id);
    writePolicy('signatures = require\n');
  });

  it('do not matter where nothing was set up', () => {
    rmSync(paths.directory, { recursive: true });
    chmodSync(paths.root, 0o777);
    expect(readTrust(paths)).toMatchObject({ mode: 'off', keys: [] });
    symlinkSync('/nowhere', paths.directory);
    expect(() => readTrust(paths)).toThrow('can be written by others than root');
  });

  it.for(all)('are not relied on: %j', (name) => {
    const file = path.join(paths.root, name);
    const { mode } = statSync(file);
    for (const bit of [0o020, 0o002]) {
      chmodSync(file, mode | bit);
      expect(() => readTrust(paths)).toThrow(
        expect.objectContaining({
          code: 'unsafe_file',
          exitCode: 2,
          message: expect.stringContaining(`${file}: can be written by others than root`),
          hint: expect.stringContaining(`chmod go-w ${file}`),
        }),
      );
      chmodSync(file, mode);
    }
    chownSync(file, 1000, 0);
    expect(() => readTrust(paths)).toThrow(`${file}: belongs to user 1000`);
    chownSync(file, 0, 0);
    expect(readTrust(paths).keys).toHaveLength(1);
  });

  it.for(all.slice(1))('are not relied on through a link: %j', (name) => {
    const file = path.join(paths.root, name);
    const moved = path.join(paths.root, 'moved');
    renameSync(file, moved);
    symlinkSync(moved, file);
    expect(() => readTrust(paths)).toThrow(`${file}: a symbolic link`);
  });

  it('are not waited for, and not read without end', () => {
    rmSync(paths.policy);
    mkdirSync(paths.policy);
    expect(() => readTrust(paths)).toThrow('no regular file');
    rmSync(paths.policy, { recursive: true });
    writePolicy('#'.repeat(20_000));
    expect(() => readTrust(paths)).toThrow(/policy: found 20000 bytes, expected at most 16384/);
  });

  it('do not keep anybody from looking at an update', () => {
    chmodSync(paths.policy, 0o666);
    const update = { id: 'a', digest: '0'.repeat(64), signature: undefined };
    expect(signatureLook(paths.root)(update)).toMatchObject({ standing: 'not_checked' });
    chmodSync(paths.policy, 0o644);
    expect(signatureLook(paths.root)(update)).toMatchObject({ standing: 'not_signed' });
  });
});
