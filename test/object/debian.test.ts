/**
 * Debian's packages through this machine's apt. Downloads go to KSPLICE_TEST_CACHE, or to the cache that the tool
 * itself uses, so that they are made once.
 */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { cacheDir } from '../../src/debian/cache-dir.ts';
import { debianDiff } from '../../src/debian/debian-diff.ts';
import { debianSources } from '../../src/debian/debian-sources.ts';

const CACHE = process.env['KSPLICE_TEST_CACHE'] ?? cacheDir(process.env);
const RELEASE = '6.1.0-47-cloud-amd64';
/** Two downloads of 140 MB, and unpacking, on a slow and busy machine. */
const MINUTES = 10 * 60_000;

describe('debianDiff', () => {
  // One list for most tests: unless the tree is unpacked, each list is a pass over an archive of 1.4 GB.
  const files = [
    './net/ipv4/ip_options.c',
    'include/linux/types.h',
    'tools/testing/selftests/mqueue',
    'tools/testing/selftests/mqueue/settings',
  ];

  it(
    'gives the fix of one file, a renamed file in a directory as old and new, and nothing for what did not change',
    async () => {
      const patch = await debianDiff('6.1.170-3', '6.1.176-1', { cacheDir: CACHE, files });
      expect(patch.match(/^(?:---|\+\+\+) .*/gm)).toEqual([
        '--- a/net/ipv4/ip_options.c',
        '+++ b/net/ipv4/ip_options.c',
        '--- a/tools/testing/selftests/mqueue/setting',
        '+++ /dev/null',
        '--- /dev/null',
        '+++ b/tools/testing/selftests/mqueue/settings',
      ]);
      expect(patch).toContain('\n+\tif (opt->opt.srr && !ns_capable(net->user_ns, CAP_NET_RAW)) {\n');
    },
    MINUTES,
  );

  it(
    'gives the same text again, and none between equal versions',
    async () => {
      const options = { cacheDir: CACHE, files };
      const patch = await debianDiff('6.1.170-3', '6.1.176-1', options);
      expect(await debianDiff('6.1.170-3', '6.1.176-1', options)).toBe(patch);
      expect(await debianDiff('6.1.176-1', '6.1.176-1', options)).toBe('');
    },
    MINUTES,
  );

  it(
    'refuses a path that neither version has',
    async () => {
      const outcome = debianDiff('6.1.176-1', '6.1.176-1', {
        cacheDir: CACHE,
        files: ['net/ipv4/no_such_file.c', 'net/ipv4/ip_options.c'],
      });
      await expect(outcome).rejects.toMatchObject({ code: 'usage', exitCode: 64 });
      await expect(outcome).rejects.toThrow('net/ipv4/no_such_file.c: neither in 6.1.176-1 nor in 6.1.176-1');
    },
    MINUTES,
  );

  it('refuses a path out of the tree before it does anything', async () => {
    for (const file of ['../x', '/etc/passwd', 'net/../../x', '', '.']) {
      const outcome = debianDiff('1', '2', { cacheDir: '/nonexistent', files: [file] });
      await expect(outcome).rejects.toMatchObject({ code: 'usage', exitCode: 64 });
    }
  });

  it('knows no version that apt does not know, and names those that it does', async () => {
    const empty = mkdtempSync(path.join(tmpdir(), 'debian-'));
    const outcome = debianDiff('6.1.0-1', '6.1.176-1', { cacheDir: empty });
    await expect(outcome).rejects.toMatchObject({ code: 'unknown_kernel', exitCode: 69 });
    await expect(outcome).rejects.toThrow('6.1.176-1');
  });
});

describe('debianSources', () => {
  it(
    'unpacks image, config, modules and headers of a release',
    async () => {
      const kernel = await debianSources(RELEASE, { cacheDir: CACHE, parts: ['image', 'headers'] });
      expect([kernel.release, kernel.version]).toEqual([RELEASE, '6.1.170-3']);
      expect(readFileSync(kernel.config, 'utf8')).toContain('\nCONFIG_LIVEPATCH=y\n');
      expect(readFileSync(kernel.image).subarray(0x202, 0x206).toString('latin1')).toBe('HdrS');
      expect(existsSync(path.join(kernel.modules, 'kernel'))).toBe(true);
      const utsrelease = path.join(kernel.headers, 'include', 'generated', 'utsrelease.h');
      expect(readFileSync(utsrelease, 'utf8')).toContain(`"${RELEASE}"`);
      expect(existsSync(path.join(kernel.headers, 'Module.symvers'))).toBe(true);
    },
    MINUTES,
  );

  it(
    'answers again without asking apt',
    async () => {
      await debianSources(RELEASE, { cacheDir: CACHE, parts: ['image'] });
      const progress: string[] = [];
      const options = { cacheDir: CACHE, onProgress: (line: string) => progress.push(line) };
      // It could not be asked.
      vi.stubEnv('PATH', '/nonexistent');
      await debianSources(RELEASE, { ...options, parts: ['image'] }).finally(() => vi.unstubAllEnvs());
      expect(progress).toEqual([]);
    },
    MINUTES,
  );

  it('knows no release that apt does not know, and names near ones', async () => {
    const empty = mkdtempSync(path.join(tmpdir(), 'debian-'));
    const outcome = debianSources('6.1.0-1-cloud-amd64', { cacheDir: empty });
    await expect(outcome).rejects.toMatchObject({
      code: 'unknown_kernel',
      exitCode: 69,
      hint: expect.stringContaining(RELEASE) as unknown,
    });
  }, 60_000);

  it('refuses what is not a release', async () => {
    for (const release of ['../../etc', '6.1.0=1', '--help', '', 'linux']) {
      const outcome = debianSources(release, { cacheDir: '/nonexistent' });
      await expect(outcome).rejects.toMatchObject({ code: 'unknown_kernel', exitCode: 69 });
    }
  });
});
