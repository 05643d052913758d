/**
 * A real update for the test kernel, made once by the tool itself and shared by all test files.
 *
 * It is the fix of CVE-2026-53249, as Debian's own update has it: with it, an unprivileged user may not set source
 * routes any more, which `source_route` shows. It is kept in the cache under a name made of everything that it
 * comes from (patch, tool, core), so a change of any of them makes another.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TEST_RELEASE, testCacheDir } from '../vm/test-kernel.ts';
import { CHECKOUT, hostBundle, hostKsplice } from './host-cli.ts';
import { releaseFix } from './release-fixes.ts';

/** The file that the fix is in. */
export const FIXED_SOURCE = 'net/ipv4/ip_options.c';
export const FIXED_FUNCTION = 'ip_options_get';
export const UPDATE_ID = 'cve_2026_53249';

/** The fix, with -p1 paths. */
export async function fixPatch(): Promise<string> {
  return await releaseFix(FIXED_SOURCE);
}

async function keyOf(patch: string, bundle: string): Promise<string> {
  const key = createHash('sha256').update(`${TEST_RELEASE}\n${UPDATE_ID}\n${patch}`);
  key.update(await readFile(bundle));
  const core = join(CHECKOUT, 'core');
  for (const name of (await readdir(core, { recursive: true })).toSorted()) {
    if (/\.[ch]$|^Kbuild$/.test(name)) key.update(`${name}\n`).update(await readFile(join(core, name)));
  }
  return key.digest('hex').slice(0, 16);
}

/**
 * The path of the update on this machine. Takes half a second when the cache has it, 20 s when it has not, and
 * some minutes when the cache is empty.
 */
export async function updateFile(): Promise<string> {
  const [patch, bundle] = [await fixPatch(), await hostBundle()];
  const parent = join(testCacheDir(), 'test-updates');
  const folder = join(parent, await keyOf(patch, bundle));
  const file = join(folder, `${UPDATE_ID}.ksplice`);
  if (existsSync(file)) return file;
  await mkdir(parent, { recursive: true });
  const unfinished = await mkdtemp(join(parent, 'making-'));
  try {
    await writeFile(join(unfinished, 'fix.patch'), patch);
    const create = ['create', '--patch', 'fix.patch', '--kernel', TEST_RELEASE, '--id', UPDATE_ID];
    const { exitCode, stderr } = await hostKsplice(bundle, create, unfinished);
    if (exitCode !== 0) throw new Error(`ksplice create: exit status ${exitCode}\n${stderr}`);
    // Whoever comes second finds the first one's: both are the same.
    await rename(unfinished, folder).catch((error: unknown) => {
      if (!existsSync(file)) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return file;
}
