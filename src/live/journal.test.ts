import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { readUpdate } from '../update/read-update.ts';
import { sha256 } from '../update/sha256.ts';
import { signUpdate } from '../update/sign-update.ts';
import { generateKeys, parsePrivateKey } from '../update/signing-keys.ts';
import type { Update } from '../update/update.ts';
import { writeUpdate } from '../update/write-update.ts';

const roots = vi.hoisted(() => ({ run: '' }));
vi.mock('./paths.ts', () => ({
  get RUN_ROOT(): string {
    return roots.run;
  },
}));
const journal = await import('./journal.ts');

const sample: Update = readUpdate(await writeUpdate(sampleUpdate()), 'sample.ksplice');
const inside = (...names: string[]): string => path.join(roots.run, sample.id, ...names);

beforeEach(() => {
  roots.run = path.join(mkdtempSync(path.join(tmpdir(), 'ksplice-run-')), 'ksplice');
});
afterEach(() => {
  rmSync(path.dirname(roots.run), { recursive: true, force: true });
});

const mode = (...names: string[]): number => statSync(inside(...names)).mode & 0o777;

describe('the record of an update', () => {
  it('comes back as it was written', () => {
    journal.writeRecord(sample);
    const record = journal.readRecord(sample.id);
    expect(record?.manifest).toEqual(sample.manifest);
    expect(record?.patches.map(({ name, text }) => [name, text])).toEqual(
      sample.patches.map(({ name, bytes }) => [name, Buffer.from(bytes).toString('utf8')]),
    );
    expect(record?.digest).toBe(sha256(readFileSync(inside('manifest.json'))));
  });

  it('has the signature of an update that has one, and of no other', async () => {
    const { private: pem } = generateKeys();
    const signed = await signUpdate(
      await writeUpdate(sampleUpdate()),
      'sample.ksplice',
      parsePrivateKey(pem, 'k'),
      7,
    );
    const update = readUpdate(signed.bytes, 'sample.ksplice');
    journal.writeRecord(update);
    expect(journal.readRecord(sample.id)?.signature?.statement).toEqual(update.signature?.statement);
    expect(mode('signature')).toBe(0o600);
    journal.writeRecord(sample);
    expect(journal.readRecord(sample.id)).toMatchObject({ digest: update.digest, signature: undefined });
  });

  it('is for root alone', () => {
    journal.writeRecord(sample);
    journal.note(sample.id, 'apply');
    expect([mode(), mode('patches')]).toEqual([0o700, 0o700]);
    for (const name of ['manifest.json', 'journal', 'patches/0', 'patches/1'])
      expect(mode(name), name).toBe(0o600);
  });

  it('is none where a run was killed while it wrote it', () => {
    expect(journal.readRecord(sample.id)).toBeUndefined();
    journal.writeRecord(sample);
    const whole = readFileSync(inside('manifest.json'));
    writeFileSync(inside('manifest.json'), whole.subarray(0, whole.length - 10));
    expect(journal.readRecord(sample.id)).toBeUndefined();
    writeFileSync(inside('manifest.json'), whole);
    rmSync(inside('patches', '1'));
    expect(journal.readRecord(sample.id)).toBeUndefined();
  });

  it('goes without a trace, and may be gone already', () => {
    journal.writeRecord(sample);
    journal.removeRecord(sample.id);
    expect(readdirSync(roots.run)).toEqual([]);
    expect(() => {
      journal.removeRecord(sample.id);
    }).not.toThrow();
  });
});

describe('the journal', () => {
  it('tells when something happened last', () => {
    expect(journal.lastEvent('fix_1', 'applied')).toBeUndefined();
    const before = Date.now();
    journal.note('fix_1', 'applied');
    journal.note('fix_1', 'not applied: code_busy');
    const at = journal.lastEvent('fix_1', 'applied')?.getTime() ?? 0;
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
    expect(journal.lastEvent('fix_1', 'reversed')).toBeUndefined();
  });

  it('adds lines, and takes the last of several', () => {
    const file = path.join(roots.run, 'fix_1', 'journal');
    journal.note('fix_1', 'applied');
    writeFileSync(file, '2020-01-01T00:00:00.000Z applied\n2021-01-01T00:00:00.000Z applied\n');
    expect(journal.lastEvent('fix_1', 'applied')?.getUTCFullYear()).toBe(2021);
    journal.note('fix_1', 'reversed');
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(4);
  });
});
