import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../../test/support/sample-update.ts';
import { KspliceError } from '../../diagnostics/error.ts';
import { readUpdate } from '../../update/read-update.ts';
import { signUpdate } from '../../update/sign-update.ts';
import { generateKeys, parsePrivateKey, publicHalf } from '../../update/signing-keys.ts';
import { writeUpdate } from '../../update/write-update.ts';
import { trustKey } from '../trust/change-trust.ts';
import { trustPaths } from '../trust/trust.ts';
import { type InstallCandidate, installUpdates, uninstallUpdates } from './install.ts';
import { dependencyOrder } from './order.ts';
import { isStoredFor, listStored } from './store.ts';

const sample = sampleUpdate();
const RUNNING = { release: sample.kernel.release, banner: sample.kernel.banner ?? '' };
let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'ksplice-installed-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

async function candidate(changes: Parameters<typeof sampleUpdate>[0] = {}): Promise<InstallCandidate> {
  const bytes = await writeUpdate(sampleUpdate(changes));
  return { bytes, update: readUpdate(bytes, 'u') };
}

/** On top of `below`; nothing of what it replaces matters here. */
async function onTop(id: string, below: InstallCandidate): Promise<InstallCandidate> {
  const { update } = below;
  return await candidate({ id, on: [{ id: update.id, digest: update.digest }] });
}

function install(...candidates: readonly InstallCandidate[]): readonly string[] {
  const place = { root, running: RUNNING, warn: () => undefined };
  return installUpdates(candidates, place).map(({ id, outcome }) => `${id} ${outcome}`);
}

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof KspliceError) return error.code;
    throw error;
  }
  return 'done';
}

const ids = (): readonly string[] => listStored(root).map(({ id }) => id);
const uninstall = (names: readonly string[], release?: string): unknown =>
  uninstallUpdates({ ids: names, release }, RUNNING, root);

describe('installed updates', () => {
  it('are kept byte for byte, for root alone, once each', async () => {
    const one = await candidate();
    expect(install(one)).toEqual(['sample_1 installed']);
    expect(install(one)).toEqual(['sample_1 same']);
    const [stored] = listStored(root);
    expect(readFileSync(stored?.file ?? '')).toEqual(Buffer.from(one.bytes));
    expect(statSync(stored?.file ?? '').mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(stored?.file ?? '')).mode & 0o777).toBe(0o700);
    expect(readdirSync(path.dirname(stored?.file ?? ''))).toEqual(['sample_1.ksplice']);
  });

  it('are each for one build of a kernel', async () => {
    const other = { ...sample.kernel, banner: '#1 SMP another build' };
    install(await candidate(), await candidate({ kernel: other }));
    const here = listStored(root).filter((each) => isStoredFor(root, each, RUNNING));
    expect([ids(), here.map(({ id }) => id)]).toEqual([['sample_1', 'sample_1'], ['sample_1']]);
    uninstall(['sample_1']);
    expect(ids()).toEqual(['sample_1']);
    expect(codeOf(() => uninstall(['sample_1']))).toBe('unknown_update');
    uninstall(['sample_1'], sample.kernel.release);
    expect(ids()).toEqual([]);
  });

  it('are installed with those that they are on top of, and these stay as long', async () => {
    const lower = await candidate({ id: 'lower' });
    const upper = await onTop('a_upper', lower);
    expect(codeOf(() => install(upper))).toBe('update_not_installed');
    expect(ids()).toEqual([]);
    expect(install(upper, lower)).toEqual(['lower installed', 'a_upper installed']);
    expect(codeOf(() => uninstall(['lower']))).toBe('module_busy');
    expect(codeOf(() => install(lower))).toBe('done');
    const another = await candidate({ id: 'lower', description: 'another' });
    expect(codeOf(() => install(another))).toBe('update_not_installed');
    uninstall(['lower', 'a_upper']);
    expect(ids()).toEqual([]);
    expect(existsSync(path.join(root, 'var/lib/ksplice/installed'))).toBe(true);
  });

  it('are subject to the policy, and none takes the place of a later one', async () => {
    const key = parsePrivateKey(generateKeys().private, 'k');
    const paths = trustPaths(root);
    trustKey(paths, 'release', publicHalf(key));
    writeFileSync(paths.policy, 'signatures = require\n');
    const plain = await candidate();
    const signed = async (serial: number): Promise<InstallCandidate> => {
      const { bytes } = await signUpdate(plain.bytes, 'u', key, serial);
      return { bytes, update: readUpdate(bytes, 'u') };
    };
    expect(codeOf(() => install(plain))).toBe('not_signed');
    const [first, second] = [await signed(1), await signed(2)];
    expect(codeOf(() => install(second))).toBe('done');
    expect(codeOf(() => install(first))).toBe('older_update');
    expect(listStored(root)[0]?.update?.signature?.statement.serial).toBe(2);
  });

  it('that were damaged are named, and keep nobody from the others', async () => {
    install(await candidate(), await candidate({ id: 'whole' }));
    const [damaged] = listStored(root);
    writeFileSync(damaged?.file ?? '', 'no update');
    expect(listStored(root).map(({ id, problem }) => [id, problem?.code])).toEqual([
      ['sample_1', 'malformed_update'],
      ['whole', undefined],
    ]);
    uninstall(['sample_1']);
    expect(ids()).toEqual(['whole']);
  });

  it('are ordered by what they are on top of', () => {
    const on = (...below: readonly string[]): readonly { id: string; digest: string }[] =>
      below.map((id) => ({ id, digest: '' }));
    const updates = [
      { id: 'a', on: on('z', 'm') },
      { id: 'z', on: [] },
      { id: 'b', on: [] },
      { id: 'm', on: on('z', 'not_there') },
    ];
    expect(dependencyOrder(updates).map(({ id }) => id)).toEqual(['z', 'm', 'a', 'b']);
  });
});
