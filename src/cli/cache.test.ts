import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BusyError } from '../diagnostics/error.ts';
import { type CachePart, readCache } from './cache-contents.ts';
import { choosePrunable, pruneCache } from './cache-prune.ts';
import { markUsed, withCacheInUse } from './cache-use.ts';

/** Two kernels built from one source, a third from another; files of ours beside, and what killed runs leave. */
const FILES: readonly string[] = [
  'debian/packages/linux-source-6.1_6.1.170-3_all.deb',
  'debian/packages/linux-image-6.1.0-47-amd64_6.1.170-3_amd64.deb',
  'debian/packages/incoming-Xy/half.deb',
  'debian/packages.lock',
  'debian/source/6.1.170-3/Makefile',
  'debian/source/6.1.170-3.complete',
  'debian/source/6.1.170-3.lock',
  'debian/source/6.1.176-1/Makefile',
  'debian/source/6.1.176-1.complete',
  'debian/source/6.1.180-1.partial-ab/Makefile',
  'debian/source-part/6.1.176-1/0011/fs/pipe.c',
  'debian/kernel/6.1.0-47-amd64/version',
  'debian/kernel/6.1.0-47-amd64/6.1.170-3/image/vmlinuz',
  'debian/kernel/6.1.0-47-amd64/6.1.170-3/image.complete',
  'debian/kernel/6.1.0-47-cloud-amd64/6.1.170-3/image/vmlinuz',
  'debian/kernel/6.1.0-47-cloud-amd64/6.1.170-3/headers.complete',
  'debian/kernel/6.1.0-50-amd64/6.1.176-1/image.complete',
  'build/aaaa/.ksplice/lock',
  'build/bbbb/.ksplice/configured',
  'work/create-12/units/x.o',
  'demo/fix.patch',
];

let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(path.join(tmpdir(), 'ksplice cache '));
  for (const file of FILES) await put(file, `${'x'.repeat(5000)}\n`);
  await put('build/aaaa/.ksplice/prepared', '6.1.0-47-amd64\n');
  await symlink(path.join(cache, 'debian/source/6.1.170-3'), path.join(cache, 'build/aaaa/source'));
});

afterEach(async () => {
  await rm(cache, { recursive: true, force: true });
});

async function put(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(path.join(cache, file)), { recursive: true });
  await writeFile(path.join(cache, file), text);
}

function paths(parts: readonly CachePart[]): readonly string[] {
  return parts.map((part) => part.path).sort();
}

const LEFTOVERS = [
  'build/bbbb',
  'debian/packages/incoming-Xy',
  'debian/source/6.1.180-1.partial-ab',
  'work/create-12',
];

const IN_A_MONTH = new Date(Date.now() + 31 * 24 * 60 * 60 * 1000);

describe('the contents of the cache', () => {
  it('are told apart, with kernel, version and size', async () => {
    const parts = await readCache(cache);
    const table = parts.map(({ kind, path: place, release, version }) => [kind, place, release, version]);
    expect(table.sort((a, b) => (String(a[1]) < String(b[1]) ? -1 : 1))).toEqual([
      ['tree', 'build/aaaa', '6.1.0-47-amd64', '6.1.170-3'],
      ['leftover', 'build/bbbb', null, null],
      ['kernel', 'debian/kernel/6.1.0-47-amd64/6.1.170-3', '6.1.0-47-amd64', '6.1.170-3'],
      ['kernel', 'debian/kernel/6.1.0-47-cloud-amd64/6.1.170-3', '6.1.0-47-cloud-amd64', '6.1.170-3'],
      ['kernel', 'debian/kernel/6.1.0-50-amd64/6.1.176-1', '6.1.0-50-amd64', '6.1.176-1'],
      ['leftover', 'debian/packages/incoming-Xy', null, null],
      [
        'package',
        'debian/packages/linux-image-6.1.0-47-amd64_6.1.170-3_amd64.deb',
        '6.1.0-47-amd64',
        '6.1.170-3',
      ],
      ['package', 'debian/packages/linux-source-6.1_6.1.170-3_all.deb', null, '6.1.170-3'],
      ['source', 'debian/source-part/6.1.176-1', null, '6.1.176-1'],
      ['source', 'debian/source/6.1.170-3', null, '6.1.170-3'],
      ['source', 'debian/source/6.1.176-1', null, '6.1.176-1'],
      ['leftover', 'debian/source/6.1.180-1.partial-ab', null, '6.1.180-1.partial-ab'],
      ['other', 'demo', null, null],
      ['leftover', 'work/create-12', null, null],
    ]);
    expect(parts.every(({ size }) => size >= 4096)).toBe(true);
  });

  it('are none where there is no cache, and nothing is made there', async () => {
    const none = path.join(cache, 'none');
    expect(await readCache(none)).toEqual([]);
    expect(await pruneCache(none, { all: true }, { now: new Date() })).toEqual([]);
    expect(existsSync(none)).toBe(false);
  });

  it('cannot be made where we may not write: exit 69, with the place', async () => {
    const place = path.join(cache, 'demo/fix.patch/ksplice');
    await expect(
      withCacheInUse({ cacheDir: place }, async () => await Promise.resolve()),
    ).rejects.toMatchObject({
      exitCode: 69,
      message: expect.stringContaining(place),
      hint: expect.stringContaining('XDG_CACHE_HOME'),
    });
  });

  it('have been used when a create says so', async () => {
    const long = new Date(Date.now() - 1000);
    await markUsed(cache, {
      source: path.join(cache, 'debian/source/6.1.170-3'),
      headers: path.join(cache, 'debian/kernel/6.1.0-47-cloud-amd64/6.1.170-3/headers/usr/src/linux-headers'),
      buildDir: '/elsewhere',
    });
    const used = (await readCache(cache)).find((part) => part.path === 'debian/source/6.1.170-3');
    expect(used?.lastUsed.getTime()).toBeGreaterThan(long.getTime());
  });
});

async function chosen(choice: Parameters<typeof choosePrunable>[1], now = new Date()): Promise<unknown> {
  return paths(choosePrunable(await readCache(cache), choice, now)).filter((one) => !LEFTOVERS.includes(one));
}

describe('what is pruned', () => {
  it('without a choice is what killed runs have left', async () => {
    expect(paths(choosePrunable(await readCache(cache), {}, IN_A_MONTH))).toEqual(LEFTOVERS);
  });

  it('of a kernel is what no other kernel needs', async () => {
    expect(await chosen({ kernel: '6.1.0-47-amd64' })).toEqual([
      'build/aaaa',
      'debian/kernel/6.1.0-47-amd64/6.1.170-3',
      'debian/packages/linux-image-6.1.0-47-amd64_6.1.170-3_amd64.deb',
    ]);
    expect(await chosen({ kernel: '6.1.0-50-amd64' })).toEqual([
      'debian/kernel/6.1.0-50-amd64/6.1.176-1',
      'debian/source-part/6.1.176-1',
      'debian/source/6.1.176-1',
    ]);
  });

  it('by age, alone and with a kernel, is what nobody has used since', async () => {
    expect(await chosen({ olderThan: 30 })).toEqual([]);
    expect(await chosen({ olderThan: 30, kernel: '6.1.0-50-amd64' }, IN_A_MONTH)).toHaveLength(3);
    expect(await chosen({ olderThan: 32, kernel: '6.1.0-50-amd64' }, IN_A_MONTH)).toEqual([]);
  });

  it('is gone, stamps first, and what is not ours stays', async () => {
    const removed = await pruneCache(cache, { all: true }, { now: new Date() });
    expect(removed).toHaveLength(13);
    expect(paths(await readCache(cache))).toEqual(['demo']);
    expect(existsSync(path.join(cache, 'debian/source/6.1.170-3.complete'))).toBe(false);
    expect(existsSync(path.join(cache, 'demo/fix.patch'))).toBe(true);
  });

  it('stays with a dry run', async () => {
    const before = paths(await readCache(cache));
    expect(await pruneCache(cache, { all: true, dryRun: true }, { now: new Date() })).toHaveLength(13);
    expect(paths(await readCache(cache))).toEqual(before);
  });

  it('is nothing while two others use the cache', async () => {
    const before = paths(await readCache(cache));
    await withCacheInUse({ cacheDir: cache }, () =>
      withCacheInUse({ cacheDir: cache }, async () => {
        const failed = pruneCache(cache, { all: true }, { now: new Date() });
        await expect(failed).rejects.toThrow(BusyError);
        await expect(failed).rejects.toThrow(/^the cache .*: in use by another process/);
      }),
    );
    expect(paths(await readCache(cache))).toEqual(before);
    await pruneCache(cache, {}, { now: new Date() });
    expect(paths(await readCache(cache)).filter((one) => LEFTOVERS.includes(one))).toEqual([]);
  });
});
