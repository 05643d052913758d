/**
 * All units of a directory, against a kernel that runs: every function that it lists there, and every byte between the
 * first and the last, is matched, or filling.
 */
import { cpus } from 'node:os';
import { expect, it } from 'vitest';
import { prepareDebianTree } from '../../scripts/kbuild/debian-tree.ts';
import { compileDirectories } from '../../scripts/match-kernel/compile-directories.ts';
import { countUnits } from '../../scripts/match-kernel/count.ts';
import { matchRunning } from '../../scripts/match-kernel/match-running.ts';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

it('matches every function of ipc', async () => {
  const cacheDir = testCacheDir();
  const debian = await debianSources(TEST_RELEASE, { cacheDir });
  const tree = await prepareDebianTree(debian, { cacheDir });
  const { units, failures } = await compileDirectories(tree, ['ipc'], {
    jobs: cpus().length,
    onProgress: () => undefined,
  });
  expect(failures).toEqual([]);
  expect(units.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['ipc/msg.o', 'ipc/sem.o', 'ipc/shm.o']),
  );

  const run = await matchRunning(debian, units, { cacheDir });
  const counts = countUnits(run.units);
  expect(counts.mismatches).toEqual([]);
  expect(counts.notCompared).toEqual([]);
  expect(counts.matching).toBe(units.length);
  const { functions, matched, bytes, matchedBytes, fillBytes, holes } = run.coverage;
  expect(holes).toEqual([]);
  expect(functions).toBeGreaterThan(200);
  expect(matched).toBe(functions);
  expect(matchedBytes + fillBytes).toBe(bytes);

  // Rewritten by the kernel, or the proof would be that of the image.
  const kinds = new Set(counts.explained.map(([kind]) => kind.split(':')[0]));
  expect([...kinds]).toEqual(
    expect.arrayContaining(['fentry', 'return', 'retpoline', 'lock prefix', 'jump label', 'static call']),
  );
});
