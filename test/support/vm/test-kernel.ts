/**
 * The kernel that most VM tests boot, from Debian's archive by way of the cache.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../../src/debian/cache-dir.ts';
import { debianSources } from '../../../src/debian/debian-sources.ts';

/** Version 6.1.170-3 of Debian's package linux. */
export const TEST_RELEASE = '6.1.0-47-cloud-amd64';

/** The cache that the tool itself would use. */
export function testCacheDir(): string {
  return cacheDir(process.env);
}

/** The bzImage of `release`, downloaded and unpacked when the cache does not have it. */
export async function testImage(release: string = TEST_RELEASE): Promise<string> {
  const { image } = await debianSources(release, { cacheDir: testCacheDir(), parts: ['image'] });
  return image;
}

/** The file of one of the modules of `release`. */
export async function testModule(name: string, release: string = TEST_RELEASE): Promise<string> {
  const { modules } = await debianSources(release, { cacheDir: testCacheDir(), parts: ['image'] });
  const files = await readdir(modules, { recursive: true });
  const file = files.find((each) => each.endsWith(`/${name}.ko`));
  if (file === undefined) throw new Error(`${release} has no module ${name}`);
  return join(modules, file);
}
