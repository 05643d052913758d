import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../../test/support/sample-update.ts';
import { FormatError, MissingError, RefusedError } from '../../diagnostics/error.ts';
import { readUpdate } from '../../update/read-update.ts';
import { signUpdate } from '../../update/sign-update.ts';
import { generateKeys, parsePrivateKey, publicHalf } from '../../update/signing-keys.ts';
import type { Update } from '../../update/update.ts';
import { writeUpdate } from '../../update/write-update.ts';
import { revokeKey, trustKey } from './change-trust.ts';
import { SignatureGate } from './gate.ts';
import type { SignatureMode } from './policy.ts';
import { signedRecordsPath } from './signed-records.ts';
import { type TrustPaths, trustPaths } from './trust.ts';

const KERNEL = { release: '6.1.0-47-cloud-amd64', banner: '#1 SMP Debian 6.1.170-3' };
const trustedKey = parsePrivateKey(generateKeys().private, 'trusted');
const strangeKey = parsePrivateKey(generateKeys().private, 'strange');

const plain = await writeUpdate(sampleUpdate());
const other = await writeUpdate(sampleUpdate({ description: 'something else' }));
const unsigned = readUpdate(plain, 'u');

async function signed(serial: number, key = trustedKey, bytes = plain): Promise<Update> {
  return readUpdate((await signUpdate(bytes, 'u', key, serial)).bytes, 'u');
}

/** As whoever has the file, and not the key, can make it: the statement says more than was signed. */
async function forged(): Promise<Update> {
  const update = await signed(5);
  const { signature } = update;
  if (signature === undefined) throw new Error('it is not signed');
  return { ...update, signature: { ...signature, statement: { ...signature.statement, serial: 99 } } };
}

let paths: TrustPaths;

beforeEach(() => {
  paths = trustPaths(mkdtempSync(path.join(tmpdir(), 'ksplice-gate-')));
  trustKey(paths, 'release', publicHalf(trustedKey));
});
afterEach(() => {
  rmSync(paths.root, { recursive: true, force: true });
});

function policy(mode: SignatureMode): void {
  writeFileSync(paths.policy, `signatures = ${mode}\n`);
}

/** What becomes of it: `passes`, the warning, or the code of the error. */
function outcome(update: Update, kernel = KERNEL): string {
  const warnings: string[] = [];
  try {
    const { standing } = new SignatureGate(kernel, paths.root).admit(update, (text) => warnings.push(text));
    return warnings.length === 0 ? `passes, ${standing}` : `warning, ${standing}`;
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    expect(error.message).toContain('sample_1: ');
    expect(error.hint).toBeTruthy();
    return `refused, ${error.code}`;
  }
}

function remember(update: Update, kernel = KERNEL): void {
  new SignatureGate(kernel, paths.root).stage([update])?.commit();
}

describe('an update', () => {
  it.for<readonly [SignatureMode, Readonly<Record<string, string>>]>([
    [
      'require',
      {
        trusted: 'passes, trusted',
        unsigned: 'refused, not_signed',
        strange: 'refused, unknown_key',
        revoked: 'refused, revoked_key',
        forged: 'refused, bad_signature',
      },
    ],
    [
      'warn',
      {
        trusted: 'passes, trusted',
        unsigned: 'warning, not_signed',
        strange: 'warning, unknown_key',
        revoked: 'refused, revoked_key',
        forged: 'refused, bad_signature',
      },
    ],
    [
      'off',
      {
        trusted: 'passes, not_checked',
        unsigned: 'passes, not_checked',
        strange: 'passes, not_checked',
        revoked: 'passes, not_checked',
        forged: 'passes, not_checked',
      },
    ],
  ])('is judged by its signature, policy %s', async ([mode, expected]) => {
    policy(mode);
    const found: Record<string, string> = {
      trusted: outcome(await signed(5)),
      unsigned: outcome(unsigned),
      strange: outcome(await signed(5, strangeKey)),
      forged: outcome(await forged()),
    };
    revokeKey(paths, publicHalf(strangeKey).id);
    found['revoked'] = outcome(await signed(5, strangeKey));
    expect(found).toEqual(expected);
  });

  it.for(['require', 'warn'] as const)(
    'does not go back behind what was applied, policy %s',
    async (mode) => {
      policy(mode);
      const five = await signed(5);
      remember(five);
      expect(outcome(five)).toBe('passes, trusted');
      expect(outcome(await signed(6))).toBe('passes, trusted');
      expect(outcome(await signed(6, trustedKey, other))).toBe('passes, trusted');
      expect(outcome(await signed(4))).toBe('refused, older_update');
      expect(outcome(await signed(4, trustedKey, other))).toBe('refused, older_update');
      // One serial, two contents: nobody can say which is the later one.
      expect(outcome(await signed(5, trustedKey, other))).toBe('refused, older_update');
      expect(outcome(unsigned)).toBe('refused, not_signed');
      expect(outcome(await signed(9, strangeKey))).toBe('refused, unknown_key');
      expect(() => new SignatureGate(KERNEL, paths.root).admit(unsigned, () => undefined)).toThrow(
        'it is not signed, and one that was signed (serial 5) has been applied under this ID',
      );
    },
  );

  it('is older only than one of its own ID for the same kernel', async () => {
    policy('require');
    remember(await signed(5));
    const four = await signed(4);
    expect(outcome(four)).toBe('refused, older_update');
    expect(outcome(four, { ...KERNEL, release: '6.1.0-50-cloud-amd64' })).toBe('passes, trusted');
    expect(outcome(four, { ...KERNEL, banner: '#1 SMP Debian 6.1.176-1' })).toBe('passes, trusted');
    const another = readUpdate(await writeUpdate(sampleUpdate({ id: 'sample_2' })), 'u2');
    expect(() => new SignatureGate(KERNEL, paths.root).admit(another, () => undefined)).toThrow('sample_2');
    const bytes = await signUpdate(await writeUpdate(sampleUpdate({ id: 'sample_2' })), 'u', trustedKey, 1);
    expect(outcome(readUpdate(bytes.bytes, 'u'))).toBe('passes, trusted');
  });
});

describe('what was applied', () => {
  it('is remembered when it is committed, with modes of root alone', async () => {
    policy('warn');
    const file = signedRecordsPath(paths.root);
    const staged = new SignatureGate(KERNEL, paths.root).stage([await signed(5)]);
    expect([existsSync(file), existsSync(`${file}.new`)]).toEqual([false, true]);
    expect(outcome(await signed(4))).toBe('passes, trusted');
    staged?.commit();
    expect(outcome(await signed(4))).toBe('refused, older_update');
    expect(existsSync(`${file}.new`)).toBe(false);
    expect([statSync(file).mode & 0o777, statSync(path.dirname(file)).mode & 0o777]).toEqual([0o600, 0o700]);
  });

  it('is as before when it is discarded, or the run is killed', async () => {
    policy('require');
    remember(await signed(5));
    const before = readFileSync(signedRecordsPath(paths.root), 'utf8');
    new SignatureGate(KERNEL, paths.root).stage([await signed(6)])?.discard();
    expect(readFileSync(signedRecordsPath(paths.root), 'utf8')).toBe(before);
    new SignatureGate(KERNEL, paths.root).stage([await signed(7)]);
    expect(outcome(await signed(6))).toBe('passes, trusted');
    remember(await signed(8));
    expect(outcome(await signed(7))).toBe('refused, older_update');
    expect(JSON.parse(readFileSync(signedRecordsPath(paths.root), 'utf8'))).toMatchObject({
      format: 1,
      updates: [{ id: 'sample_1', serial: 8, ...KERNEL }],
    });
  });

  it('is nothing where no trusted key has signed, or nobody looks', async () => {
    policy('warn');
    remember(unsigned);
    remember(await signed(5, strangeKey));
    remember(await forged());
    policy('off');
    remember(await signed(5));
    expect(existsSync(path.dirname(signedRecordsPath(paths.root)))).toBe(false);
  });

  it('that cannot be written, or read, is told before anything is done', async () => {
    policy('require');
    const five = await signed(5);
    const file = signedRecordsPath(paths.root);
    mkdirSync(path.dirname(path.dirname(file)), { recursive: true });
    writeFileSync(path.dirname(file), 'in the way');
    expect(() => new SignatureGate(KERNEL, paths.root)).toThrow('no directory');
    rmSync(path.dirname(file));
    remember(five);
    mkdirSync(`${file}.new`);
    expect(() => new SignatureGate(KERNEL, paths.root).stage([five])).toThrow(MissingError);
    rmSync(`${file}.new`, { recursive: true });
    chmodSync(file, 0o606);
    expect(() => new SignatureGate(KERNEL, paths.root)).toThrow('can be written by others than root');
    chmodSync(file, 0o600);
    const good = readFileSync(file, 'utf8');
    for (const bad of [
      '',
      '{',
      '[]',
      good.replace('"serial": 5', '"serial": 0'),
      good.replace('"format"', '"x"'),
    ]) {
      writeFileSync(file, bad);
      expect(() => new SignatureGate(KERNEL, paths.root), bad).toThrow(FormatError);
      expect(() => new SignatureGate(KERNEL, paths.root)).toThrow(file);
    }
  });
});
