import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type KbuildDirs, runKbuild } from '../../src/build/kbuild.ts';

let folder: string;
let dirs: KbuildDirs;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kbuild-test-'));
  const [source, buildDir] = [join(folder, 'source'), join(folder, 'build')];
  await Promise.all([mkdir(source), mkdir(buildDir)]);
  dirs = { source, buildDir, release: '6.1.0-1-test', cc: 'gcc-12', distribution: undefined };
  // A compiler whose file appears after it was told to end, as one does that cc1 makes while gcc removes it.
  const slow = `trap 'echo late > "$$TMPDIR/late.s"; exit 1' TERM; echo started; sleep 60 & wait`;
  const make = `all:\n\t@bash -c '${slow.replaceAll("'", `'\\''`)}'\nok:\n\t@echo "$$TMPDIR"\n`;
  await writeFile(join(source, 'Makefile'), make);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** Whatever make and its children left beside what is kept. */
async function left(): Promise<readonly string[]> {
  const kept = await readdir(join(dirs.buildDir, '.ksplice'));
  return kept.filter((name) => name !== 'make.lock');
}

describe('runKbuild', () => {
  it('gives each make a directory for temporary files, which goes with it', async () => {
    const { stdout } = await runKbuild(dirs, ['ok'], { jobs: 1 });
    expect(stdout).toMatch(new RegExp(`^${dirs.buildDir}/\\.ksplice/make-\\w+$`, 'm'));
    expect(await left()).toEqual([]);
  });

  it('leaves no ccXXXXXX.s behind that a compiler makes while it is interrupted', async () => {
    const usual = join(folder, 'usual');
    await mkdir(usual);
    vi.stubEnv('TMPDIR', usual);
    const controller = new AbortController();
    const options = {
      jobs: 1,
      signal: controller.signal,
      onLine: (line: string) => {
        if (line === 'started') controller.abort();
      },
    };
    await expect(runKbuild(dirs, ['all'], options)).rejects.toMatchObject({ code: 'interrupted' });
    expect([...(await left()), ...(await readdir(usual))]).toEqual([]);
  });
});
