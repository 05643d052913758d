/**
 * Updates for Debian's flavours, each made from the source of its own version and checked against the kernel at rest: a
 * built-in unit, and a unit of a module.
 *
 * The patches are those of two hand-made cases, which apply to both versions.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { ImageKernel } from '../../src/kernel/image/image-kernel.ts';
import { patchFile } from '../support/case/read-cases.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { updateFile } from '../support/live/update-file.ts';
import { testCacheDir, testImage } from '../support/vm/test-kernel.ts';

const FLAVOURS = [
  '6.1.0-47-cloud-amd64',
  '6.1.0-47-amd64',
  '6.1.0-50-cloud-amd64',
  '6.1.0-50-amd64',
] as const;
const REALTIME = '6.1.0-47-rt-amd64';

/** A static function of a file system's core, which every flavour has built in. */
const BUILT_IN = 'static-function';

let bundle: string;
let folder: string;

beforeAll(async () => {
  bundle = await hostBundle();
  folder = await mkdtemp(join(tmpdir(), 'ksplice-flavours-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('an update for a flavour', () => {
  it.each(FLAVOURS)('%s fits its kernel at rest', async (release) => {
    const update = join(folder, `${release}.ksplice`);
    const patches = [BUILT_IN, 'module'].flatMap((name) => ['--patch', patchFile(name, 'fix.patch')]);
    const create = ['create', ...patches, '--kernel', release, '--id', 'flavour', '-o', update];
    const made = await hostKsplice(bundle, create, folder);
    expect(made.exitCode, made.stderr).toBe(0);

    const { modules } = await debianSources(release, { cacheDir: testCacheDir(), parts: ['image'] });
    const image = await testImage(release);
    const check = ['check', update, '--image', image, '--modules', modules, '--json'];
    const { exitCode, stdout, stderr } = await hostKsplice(bundle, check, folder);
    expect(exitCode, stdout + stderr).toBe(0);
    const result: unknown = JSON.parse(stdout);
    expect(result).toMatchObject({ kernel: { release, running: false } });
    expect(result).toHaveProperty('units.1.matches', true);

    // And no other one.
    const other = FLAVOURS[(FLAVOURS.indexOf(release) + 1) % FLAVOURS.length] ?? release;
    const elsewhere = await debianSources(other, { cacheDir: testCacheDir(), parts: ['image'] });
    const refused = ['check', update, '--image', elsewhere.image, '--modules', elsewhere.modules];
    expect((await hostKsplice(bundle, refused, folder)).exitCode).toBe(4);
  });
});

describe('the realtime flavour', () => {
  it('is read in full, and an update from source that is not realtime is refused', async () => {
    const image = await testImage(REALTIME);
    const kernel = await ImageKernel.open(image, { modulesDirectory: await modulesOf(REALTIME) });
    expect(kernel.release).toBe(REALTIME);
    expect(kernel.version).toContain('PREEMPT_RT');
    expect([...kernel.symbols()].length).toBeGreaterThan(90_000);
    expect((await kernel.loadModule('8021q')).size).toBeGreaterThan(0x1000);
    const { exitCode, stdout } = await hostKsplice(
      bundle,
      ['check', await updateFile(), '--image', image, '--json'],
      dirname(image),
    );
    expect(exitCode).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({
      code: expect.stringMatching(/^(?:no_match|failed_to_find)$/),
    });
  });
});

async function modulesOf(release: string): Promise<string> {
  return (await debianSources(release, { cacheDir: testCacheDir(), parts: ['image'] })).modules;
}
