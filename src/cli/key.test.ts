import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { readUpdateFile } from '../update/read-update.ts';
import { writeUpdate } from '../update/write-update.ts';
import { runCli } from './run-cli.ts';

let folder: string;
const at = (name: string): string => path.join(folder, name);

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function ksplice(argv: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const status = await runCli(argv, {
    stdout: (text) => (stdout += text),
    stderr: {
      write: (text) => (stderr += text),
      isTerminal: false,
      colors: false,
      columns: () => 120,
      now: () => 0,
    },
    env,
    cwd: folder,
    program: '/nowhere/ksplice.cjs',
    signal: new AbortController().signal,
  });
  return { status, stdout, stderr };
}

async function json(argv: readonly string[], env: Record<string, string> = {}): Promise<unknown> {
  return JSON.parse((await ksplice([...argv, '--json'], env)).stdout);
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ksplice-key-'));
  for (const id of ['one', 'two'])
    writeFileSync(at(`${id}.ksplice`), await writeUpdate(sampleUpdate({ id })));
  expect((await ksplice(['key', 'generate', at('release')])).status).toBe(0);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('ksplice key', () => {
  it('generate writes a pair, the private half for its owner alone, and nothing over another', async () => {
    expect([statSync(at('release')).mode & 0o777, statSync(at('release.pem')).mode & 0o777]).toEqual([
      0o600, 0o644,
    ]);
    const before = readFileSync(at('release'), 'utf8');
    expect(await ksplice(['key', 'generate', at('release')])).toMatchObject({ status: 64 });
    writeFileSync(at('taken'), 'mine');
    expect((await ksplice(['key', 'generate', at('taken')])).stderr).toContain('taken: exists already');
    expect([readFileSync(at('taken'), 'utf8'), existsSync(at('taken.pem'))]).toEqual(['mine', false]);
    expect(readFileSync(at('release'), 'utf8')).toBe(before);
  });

  it('public prints what generate wrote', async () => {
    expect((await ksplice(['key', 'public', at('release')])).stdout).toBe(
      readFileSync(at('release.pem'), 'utf8'),
    );
  });

  it('sign signs in place, with the time unless told; view shows it', async () => {
    const signed = await json(['key', 'sign', at('one.ksplice'), at('two.ksplice'), '--key', at('release')]);
    const { statement } = readUpdateFile(at('one.ksplice')).signature ?? {};
    expect(signed).toMatchObject({ updates: [{ id: 'one', ...statement }, { id: 'two' }] });
    expect(Math.abs((statement?.serial ?? 0) - Date.now() / 1000)).toBeLessThan(60);
    const again = ['key', 'sign', at('one.ksplice'), '--key', at('release')];
    expect(await json(again, { SOURCE_DATE_EPOCH: '1700000000' })).toMatchObject({
      updates: [{ serial: 1_700_000_000 }],
    });
    expect(await ksplice(again, { SOURCE_DATE_EPOCH: 'today' })).toMatchObject({ status: 64 });
    await ksplice([...again, '--serial', '7']);
    expect(await json(['view', '--file', at('one.ksplice')])).toMatchObject({
      signature: { serial: 7, key: statement?.key },
    });
    expect((await ksplice(['view', '--file', at('one.ksplice')])).stdout).toMatch(
      / signed by +key [0-9a-f]{16}, serial 7/,
    );
  });

  it('sign writes nothing unless all can be signed', async () => {
    writeFileSync(at('cut.ksplice'), readFileSync(at('one.ksplice')).subarray(0, 2000));
    const before = readFileSync(at('one.ksplice'));
    const { status, stderr } = await ksplice([
      'key',
      'sign',
      at('one.ksplice'),
      at('cut.ksplice'),
      '--key',
      at('release'),
    ]);
    expect([status, stderr]).toEqual([65, expect.stringContaining('cut.ksplice')]);
    expect(Buffer.compare(readFileSync(at('one.ksplice')), before)).toBe(0);
  });

  it('takes no key that others may read: 2', async () => {
    chmodSync(at('release'), 0o640);
    const { status, stderr } = await ksplice(['key', 'sign', at('one.ksplice'), '--key', at('release')]);
    expect([status, stderr]).toEqual([2, expect.stringContaining(`chmod 600 ${at('release')}`)]);
    chmodSync(at('release'), 0o600);
  });

  it('takes a passphrase from a file', async () => {
    writeFileSync(at('passphrase'), 'correct horse\nsecond line\n');
    writeFileSync(at('empty'), '\n');
    const [key, sign] = [at('encrypted'), ['key', 'sign', at('two.ksplice'), '--key', at('encrypted')]];
    expect(await ksplice(['key', 'generate', key, '--passphrase-file', at('passphrase')])).toMatchObject({
      status: 0,
    });
    expect(readFileSync(key, 'utf8')).toContain('ENCRYPTED');
    expect(await ksplice(sign)).toMatchObject({
      status: 64,
      stderr: expect.stringContaining('--passphrase-file'),
    });
    expect(await ksplice([...sign, '--passphrase-file', at('empty')])).toMatchObject({ status: 64 });
    expect(await ksplice([...sign, '--passphrase-file', at('passphrase')])).toMatchObject({ status: 0 });
  });
});
