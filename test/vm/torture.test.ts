/**
 * A short torture run: an update of functions that everything calls, loaded, applied, undone and unloaded by one process while
 * the guest is busy. The long one is `npm run torture`.
 */
import { expect, it } from 'vitest';
import { hotUpdate } from '../../scripts/torture/hot-update.ts';
import { tortureGuest } from '../../scripts/torture/torture-guest.ts';
import { TEST_RELEASE, testCacheDir, testImage } from '../support/vm/test-kernel.ts';

it('ten cycles under load lose nothing and leave nothing', async () => {
  const cacheDir = testCacheDir();
  const update = await hotUpdate({
    kernel: ['--kernel', TEST_RELEASE],
    cacheDir,
    files: ['kernel/sys.c', 'fs/file.c', 'net/ipv4/tcp_output.c'],
  });
  const verdict = await tortureGuest({
    image: await testImage(),
    update,
    cacheDir,
    cpus: 2,
    order: { seed: 1, cycles: 10, minutes: 4, samples: 3 },
    load: { threads: 500, stressors: ['fork', 'pipe', 'hdd'] },
  });
  const failed = verdict.lines.filter((line) => line.startsWith('FAILED'));
  // Three samples tell too little of the noise, and ten cycles too little of a leak, to judge memory in use by them. The
  // areas that modules and the core have are counted exactly, and are judged.
  expect(failed.filter((line) => !/^FAILED (?:SUnreclaim|VmallocUsed|Percpu): /.test(line))).toEqual([]);
  expect(verdict.lines).toContainEqual(
    expect.stringMatching(/^10 cycles in \d+ s, (?:9|10) applied and undone/),
  );
});
