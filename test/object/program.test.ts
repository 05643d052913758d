import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../scripts/bundle.ts';
import { writeUpdate } from '../../src/update/write-update.ts';
import { sampleUpdate } from '../support/sample-update.ts';

/** The program as it is shipped, in one file, under this machine's node. */
const folder = mkdtempSync(join(tmpdir(), 'ksplice program '));
const bundle = join(folder, 'ksplice.cjs');

beforeAll(async () => {
  await buildBundle(bundle);
  writeFileSync(join(folder, 'sample.ksplice'), await writeUpdate(sampleUpdate()));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The directory of the program and its compiled code. */
function parts(): string {
  return join(folder, readdirSync(folder).find((name) => name.startsWith('ksplice-')) ?? '');
}

function program(...argv: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [bundle, ...argv], { cwd: folder, encoding: 'utf8' });
}

describe('the program in one file', () => {
  it('prints its version, and help', () => {
    expect(program('--version')).toMatchObject({ status: 0, stderr: '' });
    expect(program('--help').stdout).toContain('ksplice create');
  });

  it('ends with the status of an error, which is on standard error', () => {
    const { status, stdout, stderr } = program('apply', '--bogus');
    expect([status, stdout]).toEqual([64, '']);
    expect(stderr).toBe(
      'ksplice: unknown flag --bogus\nhint: see ksplice --help, or --help after a command\n',
    );
  });

  it('shows an update file, as text and as JSON', () => {
    const text = program('view', '--file', 'sample.ksplice').stdout;
    expect(text).toContain('replaced   pipe_read');
    expect(text).toMatch(/ fixes +CVE-2026-9999\n +CVE-2026-53249\n/);
    const { stdout } = program('view', '--file', 'sample.ksplice', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      file: 'sample.ksplice',
      id: 'sample_1',
      format: 1,
      cves: ['CVE-2026-9999', 'CVE-2026-53249'],
    });
  });

  it('refuses a file that is no update: 65', () => {
    writeFileSync(join(folder, 'text.ksplice'), 'text\n'.repeat(1000));
    const { status, stderr } = program('apply', 'text.ksplice');
    expect(status).toBe(65);
    expect(stderr).toContain('text.ksplice: header at offset 0');
  });

  it('goes on when nobody reads what it prints', () => {
    const line = `"$0" "$1" view --file sample.ksplice --json | true; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', line, process.execPath, bundle], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect([stdout, stderr]).toEqual(['0\n', '']);
  });

  it('loads neither decoder nor builder for help', () => {
    const probe = `
      const compiled = [];
      const { Module } = WebAssembly;
      WebAssembly.Module = class extends Module { constructor(bytes) { super(bytes); compiled.push(bytes.length); } };
      process.on('exit', () => process._rawDebug('compiled', compiled.length));
      process.argv.splice(1, 0, ${JSON.stringify(bundle)});
      require(${JSON.stringify(bundle)});
    `;
    const { stderr } = spawnSync(process.execPath, ['-e', probe, 'create', '--help'], { encoding: 'utf8' });
    expect(stderr).toContain('compiled 0');
  });

  it.each(['--help', 'view'])('loads nothing of Node that takes long for %s', (command) => {
    const probe = `
      process.on('exit', () => process._rawDebug(process.moduleLoadList.join('\\n')));
      process.argv.splice(1, 0, ${JSON.stringify(bundle)});
      require(${JSON.stringify(bundle)});
    `;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', probe, '--', command], {
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).not.toBe('');
    const loaded = stderr.split('\n');
    expect(loaded).toContain('NativeModule fs');
    for (const slow of ['crypto', 'child_process', 'stream', 'net', 'zlib', 'worker_threads']) {
      expect(loaded).not.toContain(`NativeModule ${slow}`);
    }
  });
});

describe('the code that V8 compiled when the program was built', () => {
  it('is accepted by this Node', () => {
    const probe = `
      const { readFileSync } = require('fs');
      const text = readFileSync('program.js', 'latin1');
      const cachedData = readFileSync('program.cache');
      console.log(new (require('vm').Script)(text, { filename: 'program.js', cachedData }).cachedDataRejected);
    `;
    const { stdout } = spawnSync(process.execPath, ['-e', probe], { cwd: parts(), encoding: 'utf8' });
    expect(stdout).toBe('false\n');
  });

  it.each(['of another version', 'that is cut off', 'that is missing'])('is done without one %s', (what) => {
    const cache = join(parts(), 'program.cache');
    const bytes = readFileSync(cache);
    try {
      if (what === 'of another version')
        writeFileSync(cache, Buffer.from([...bytes].toSpliced(4, 4, 1, 2, 3, 4)));
      else if (what === 'that is cut off') writeFileSync(cache, bytes.subarray(0, 1000));
      else rmSync(cache);
      expect(program('--version')).toMatchObject({ status: 0, stderr: '' });
    } finally {
      writeFileSync(cache, bytes);
    }
  });
});
