/**
 * An update that claims to be for the test kernel and is not: its unit is compiled from the source of the next
 * release, with everything else (release, build, core) as in the good one. Nothing in the file can tell; only the
 * code in memory does.
 */
import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { compileUnit } from '../../../src/build/compile-unit.ts';
import { locateUnits } from '../../../src/build/locate-units.ts';
import { completeMirror } from '../../../src/build/mirror-tree.ts';
import { applyPatches } from '../../../src/build/patch/apply-patch.ts';
import { parsePatch } from '../../../src/build/patch/parse-patch.ts';
import { prepareTree } from '../../../src/build/tree.ts';
import { debianSources } from '../../../src/debian/debian-sources.ts';
import { readUpdate } from '../../../src/update/read-update.ts';
import { writeUpdate } from '../../../src/update/write-update.ts';
import { TEST_RELEASE, testCacheDir } from '../vm/test-kernel.ts';
import { FIXED_SOURCE, fixPatch, updateFile } from './update-file.ts';

/** The unit with the next release's source, compiled plainly, as the next release's distributor did. */
async function unitOfNextRelease(): Promise<Uint8Array> {
  const cacheDir = testCacheDir();
  const kernel = await debianSources(TEST_RELEASE, { cacheDir });
  const tree = await prepareTree({ ...kernel, cacheDir, symvers: kernel.headers, jobs: 2 });
  const place = (await locateUnits(tree, [FIXED_SOURCE], { jobs: 2 })).get(FIXED_SOURCE);
  if (place?.kind !== 'unit') throw new Error(`${FIXED_SOURCE}: not a unit of ${TEST_RELEASE}`);
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'ksplice-other-source-')));
  try {
    const mirror = join(folder, 'mirror');
    await mkdir(mirror);
    const { paths } = await applyPatches(
      [parsePatch(await fixPatch(), 'next-release.patch')],
      tree.source,
      mirror,
    );
    await completeMirror(mirror, tree.source, paths);
    const output = join(folder, 'units', FIXED_SOURCE.replace(/\.c$/, ''));
    await mkdir(dirname(output), { recursive: true });
    const { command } = place;
    const build = { command, root: mirror, side: 'post', flags: [], types: undefined, output } as const;
    return (await compileUnit(tree, build)).bytes;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The bytes of that update: well-formed, with right digests. */
export async function otherSourceUpdate(): Promise<Uint8Array> {
  const file = await updateFile();
  const good = readUpdate(await readFile(file), file);
  const pre = await unitOfNextRelease();
  return await writeUpdate({ ...good, units: good.units.map((unit) => ({ ...unit, pre })) });
}
