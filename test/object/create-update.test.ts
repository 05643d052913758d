/**
 * create from end to end, on the small tree of build-tree-fixture.ts: all sources of a patch give the same update; so do
 * another directory and another user; runs that share a cache, or are killed in it, do each other no harm.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readCache } from '../../src/cli/cache-contents.ts';
import { pruneCache } from '../../src/cli/cache-prune.ts';
import { checkFreeSpace } from '../../src/cli/create-machine.ts';
import { type CreateOptions, createUpdate } from '../../src/cli/create-pipeline.ts';
import { prebuildKernel } from '../../src/cli/create-prepare.ts';
import { runCli } from '../../src/cli/run-cli.ts';
import type { OnProgress } from '../../src/process/on-progress.ts';
import { run } from '../../src/process/run.ts';
import { readUpdate } from '../../src/update/read-update.ts';
import { sha256 } from '../../src/update/sha256.ts';
import { isSignedBy } from '../../src/update/signature.ts';
import { generateKeys, parsePublicKey } from '../../src/update/signing-keys.ts';
import { writeUpdate } from '../../src/update/write-update.ts';
import { AUTHOR_HEADERS, type BuildFixture, snapshot } from './build-tree-fixture.ts';
import { createCreateFixture, FIXED, optionsFor } from './create-fixture.ts';

let fixture: BuildFixture;
/** Of the update of `PATCH`, wherever it is made. */
let expected: string;

beforeAll(async () => {
  const one = await createCreateFixture();
  expected = await digest(one);
  await one.remove();
});

beforeEach(async () => {
  fixture = await createCreateFixture();
});

afterEach(async () => {
  await fixture.remove();
});

async function digest(one: BuildFixture, changes: Partial<CreateOptions> = {}): Promise<string> {
  const { contents } = await createUpdate(
    optionsFor(one, { patch: [path.join(one.directory, 'fix.patch')], ...changes }),
  );
  return sha256(await writeUpdate(contents));
}

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

interface Ended {
  /** null: killed. */
  readonly exitCode: number | null;
  readonly output: readonly string[];
}

/** Runs create in a process; as another user, where we may; killed, alone, at a step or when something is so. */
async function create(
  one: BuildFixture,
  uid?: number,
  killAt?: string,
  killWhen?: () => boolean,
): Promise<Ended> {
  const options = optionsFor(one, { patch: [path.join(one.directory, 'fix.patch')] });
  const loader = import.meta.resolve('tsx');
  const script = path.join(import.meta.dirname, 'create-process.ts');
  const child = spawn(process.execPath, ['--import', loader, script, JSON.stringify(options)], {
    cwd: one.directory,
    env: { PATH: process.env['PATH'], HOME: one.directory, TMPDIR: one.directory },
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(uid === undefined || !isRoot ? {} : { uid, gid: uid }),
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (killAt !== undefined && text.includes(killAt)) child.kill('SIGKILL');
  });
  const timer = setInterval(() => {
    if (killWhen?.() === true) child.kill('SIGKILL');
  }, 20);
  const [exitCode] = await once(child, 'exit');
  clearInterval(timer);
  return { exitCode: typeof exitCode === 'number' ? exitCode : null, output: text.trim().split('\n') };
}

/** What of an update the patch decides: the patch itself aside. */
async function replacements(one: BuildFixture, changes: Partial<CreateOptions>): Promise<readonly string[]> {
  const { contents } = await createUpdate(optionsFor(one, changes));
  return contents.units.map((unit) => `${unit.path} ${sha256(unit.pre)} ${sha256(unit.replacement)}`);
}

async function git(cwd: string, ...args: readonly string[]): Promise<void> {
  await run(['git', '-c', 'user.name=A', '-c', 'user.email=a@example.org', ...args], { cwd });
}

describe('an update', () => {
  it('is the same from a patch file, a commit and changed copies, and no tree is written to', async () => {
    const patch = [path.join(fixture.directory, 'fix.patch')];
    const made = await replacements(fixture, { patch });
    expect(made).toHaveLength(1);

    await writeFile(path.join(fixture.source, 'lib', 'sort.c.new'), FIXED);
    const before = await snapshot(fixture.source);
    expect(await replacements(fixture, { diffext: '.new' })).toEqual(made);
    expect(await snapshot(fixture.source)).toEqual(before);
    await rm(path.join(fixture.source, 'lib', 'sort.c.new'));

    await git(fixture.source, 'init', '-q');
    await git(fixture.source, 'add', '-A');
    await git(fixture.source, 'commit', '-q', '-m', 'start');
    await writeFile(path.join(fixture.source, 'lib', 'sort.c'), FIXED);
    await git(fixture.source, 'commit', '-q', '-a', '-m', 'sort: fix it');
    await expect(createUpdate(optionsFor(fixture, { git: 'HEAD' }))).rejects.toMatchObject({
      code: 'patch_does_not_apply',
      hint: expect.stringContaining('git worktree add ../before HEAD^'),
    });
    await git(fixture.source, 'checkout', '-q', 'HEAD^');
    const inGit = await snapshot(fixture.source);
    expect(await replacements(fixture, { git: 'HEAD@{1}' })).toEqual(made);
    expect(await snapshot(fixture.source)).toEqual(inGit);
    const { contents } = await createUpdate(optionsFor(fixture, { git: 'HEAD..HEAD@{1}' }));
    expect(contents.description).toBe('sort: fix it');
  });

  it('tells what it fixes, in order, in its bytes', async () => {
    const patch = [path.join(fixture.directory, 'fix.patch')];
    const cve = ['CVE-2026-10000', 'CVE-2026-9999', 'CVE-2026-10000'];
    const { contents } = await createUpdate(optionsFor(fixture, { patch, cve }));
    expect(contents.cves).toEqual(['CVE-2026-9999', 'CVE-2026-10000']);
    expect(readUpdate(await writeUpdate(contents), 'm').manifest.cves).toEqual(contents.cves);
    expect(await digest(fixture, { cve: cve.toReversed() })).toBe(sha256(await writeUpdate(contents)));
    expect(expected).not.toBe(sha256(await writeUpdate(contents)));
  });

  it('signed, is the same file with a signature behind it, and the same again for one serial', async () => {
    const keys = generateKeys();
    const [key, output] = [
      path.join(fixture.directory, 'key'),
      path.join(fixture.directory, 'signed.ksplice'),
    ];
    await writeFile(key, keys.private, { mode: 0o600 });
    await cp(AUTHOR_HEADERS, path.join(fixture.core, '..', 'include'), { recursive: true });
    const signed = async (): Promise<Buffer> => {
      const argv = ['create', '--patch', path.join(fixture.directory, 'fix.patch'), '-o', output];
      argv.push('--source', fixture.source, '--config', fixture.options.config);
      argv.push('--sign', key, '--serial', '5', '--json');
      let said = '';
      const status = await runCli(argv, {
        stdout: (text) => (said += text),
        stderr: {
          write: () => undefined,
          isTerminal: false,
          colors: false,
          columns: () => 120,
          now: () => 0,
        },
        env: { XDG_CACHE_HOME: path.join(fixture.directory, 'signing-cache') },
        cwd: fixture.directory,
        program: path.join(fixture.core, '..', 'ksplice'),
        signal: new AbortController().signal,
      });
      expect([status, JSON.parse(said)]).toMatchObject([0, { signature: { serial: 5 } }]);
      return await readFile(output);
    };
    const once = await signed();
    expect(Buffer.compare(await signed(), once)).toBe(0);
    const { signature, ...contents } = readUpdate(once, output);
    const { key: half } = parsePublicKey(keys.public, 'key.pem');
    expect(signature !== undefined && isSignedBy(signature, half)).toBe(true);
    const unsigned = await writeUpdate(contents);
    expect(Buffer.compare(once.subarray(0, unsigned.length - 1024), unsigned.subarray(0, -1024))).toBe(0);
  });

  it('on top of another one, carries no whole module: that would lack what is below', async () => {
    const patch = [path.join(fixture.directory, 'fix.patch')];
    const below = path.join(fixture.directory, 'below.ksplice');
    const { contents } = await createUpdate(optionsFor(fixture, { patch }));
    await writeFile(below, await writeUpdate(contents));
    const options = optionsFor(fixture, { patch, on: [below], buildModules: true });
    await expect(createUpdate(options)).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('all patches with --patch'),
    });
  });

  it('is the same to the byte in another directory, with another cache, by another user', async () => {
    if (isRoot) await run(['chown', '-R', `${NOBODY}:${NOBODY}`, fixture.directory]);
    await chmod(fixture.directory, 0o755);
    const { exitCode, output } = await create(fixture, NOBODY);
    expect([exitCode, output.at(-1)]).toEqual([0, expected]);
    const { uid } = await stat(path.join(fixture.options.cacheDir, 'build'));
    expect(uid).toBe(isRoot ? NOBODY : process.getuid?.());
  });

  it('is the same when two make it at once in one empty cache', async () => {
    const [one, two] = await Promise.all([digest(fixture), digest(fixture)]);
    expect([one, two]).toEqual([expected, expected]);
    expect(await readdir(path.join(fixture.options.cacheDir, 'work'))).toEqual([]);
  });

  it.each(['configuring', 'preparing', 'asking kbuild', 'compiled lib/sort.o', 'compiling the core'])(
    'is the same after a run that was killed while %s, whose leftovers can be pruned',
    async (step) => {
      const { exitCode } = await create(fixture, undefined, step);
      expect(exitCode).toBe(null);
      expect(await digest(fixture)).toBe(expected);
      await pruneCache(fixture.options.cacheDir, {}, { now: new Date() });
      expect(await readdir(path.join(fixture.options.cacheDir, 'work'))).toEqual([]);
    },
  );
});

describe('a make that outlives its run', () => {
  it('is waited for, whole', async () => {
    const makefile = path.join(fixture.source, 'Makefile');
    const record = path.join(fixture.directory, 'record');
    const slow = `\t@echo begin >> ${record}; sleep 3; echo end >> ${record}\n`;
    await writeFile(makefile, (await readFile(makefile, 'utf8')).replace('prepare:\n', `prepare:\n${slow}`));
    const killed = create(fixture, undefined, undefined, () => existsSync(record));
    expect((await killed).exitCode).toBe(null);
    expect(await readFile(record, 'utf8')).toBe('begin\n');
    expect(await digest(fixture)).toBe(expected);
    expect(await readFile(record, 'utf8')).toBe('begin\nend\nbegin\nend\n');
  });
});

describe('a kernel that is prepared ahead', () => {
  it('needs neither configuring nor compiling of the core any more, and its use is noted', async () => {
    const steps: string[] = [];
    const onProgress: OnProgress = (step, kind = 'step') => {
      if (kind === 'step') steps.push(step);
    };
    await prebuildKernel(optionsFor(fixture, { onProgress }));
    expect(steps).toEqual([
      'looking for the kernel, and for what compiles it',
      'configuring',
      'preparing linux 6.1.99 (headers and tools, once for this kernel)',
      'compiling the core for this kernel',
    ]);
    steps.length = 0;
    await digest(fixture, { onProgress });
    expect(steps.filter((step) => /configuring|preparing|the core/.test(step))).toEqual([]);
    const [tree] = await readCache(fixture.options.cacheDir);
    expect(tree).toMatchObject({ kind: 'tree', release: '6.1.99-test' });
  });
});

describe('what a machine must have', () => {
  it('is room, which is looked at before anything is fetched', async () => {
    await expect(checkFreeSpace(fixture.directory, 0)).resolves.toBeUndefined();
    const failed = checkFreeSpace(fixture.directory, 2 ** 60);
    await expect(failed).rejects.toMatchObject({ exitCode: 69 });
    await expect(failed).rejects.toThrow(/: 1099511627776\.0 MB of free space needed, found [0-9.]+ MB$/);
  });

  it('is the compiler of the configuration, to the version', async () => {
    const text = await readFile(fixture.options.config, 'utf8');
    await writeFile(
      fixture.options.config,
      text.replace(/CC_VERSION_TEXT=".*"/, 'CC_VERSION_TEXT="gcc 1.2.3"'),
    );
    const failed = digest(fixture);
    await expect(failed).rejects.toMatchObject({ exitCode: 69 });
    await expect(failed).rejects.toThrow(/the kernel was compiled by gcc 1\.2\.3, here is gcc/);
    expect(existsSync(path.join(fixture.options.cacheDir, 'build'))).toBe(false);
  });
});
