import { describe, expect, it } from 'vitest';
import { includersOf } from './included-sources.ts';

const inclusions = [
  ['kernel/sched/build_policy.c', 'rt.c'],
  ['kernel/other/build.c', 'rt.c'],
  ['arch/x86/kernel/sev.c', 'sev-shared.c'],
  ['lib/decompress.c', '../lib/inflate.c'],
  ['lib/inflate.c', 'zlib_inflate/inffast.c'],
  ['fs/a.c', 'a_template.h.c'],
  ['drivers/x/main.c', 'shared/code.c'],
] as const;

describe('C files that others include', () => {
  it('are found from the including directory only', () => {
    expect(includersOf('kernel/sched/rt.c', inclusions)).toEqual(['kernel/sched/build_policy.c']);
  });

  it('are found through other files', () => {
    expect(includersOf('lib/zlib_inflate/inffast.c', inclusions)).toEqual([
      'lib/decompress.c',
      'lib/inflate.c',
    ]);
  });

  it('are found by the end of the path where the directory is given another way', () => {
    expect(includersOf('sound/shared/code.c', inclusions)).toEqual(['drivers/x/main.c']);
    expect(includersOf('fs/pipe.c', inclusions)).toEqual([]);
  });
});
