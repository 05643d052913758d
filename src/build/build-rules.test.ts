import { describe, expect, it } from 'vitest';
import { listedObjects, otherRule } from './build-rules.ts';

const fresh = new Set(['new.o', 'more.o']);

const pre = `# SPDX
obj-y   += proc.o
proc-y	+= uptime.o version.o \\
	   softirqs.o
proc-$(CONFIG_NET) += proc_net.o
CFLAGS_uptime.o := -O2
ifdef CONFIG_MMU
proc-y += mmu.o
endif
`;

describe('a changed Makefile', () => {
  it.each([
    ['a list of its own', pre.replace('ifdef', 'proc-y += new.o\nifdef')],
    ['a list that there is', pre.replace('softirqs.o', 'softirqs.o new.o more.o')],
    ['in a condition', pre.replace('mmu.o\n', 'mmu.o\nproc-$(CONFIG_NET) += new.o\n')],
    ['the directory, with flags', `${pre}obj-m += new.o # why\nCFLAGS_new.o += -g\n`],
    ['comments and blanks', pre.replace('# SPDX', '# other').replace('+= proc.o', '+=  proc.o')],
  ])('adds new objects only: %s', (_what, post) => {
    expect(otherRule(pre, post, fresh)).toBeUndefined();
  });

  it.each([
    ['flags of another object', pre.replace('-O2', '-O3'), 'CFLAGS_uptime.o := -O3'],
    ['flags of all', `${pre}ccflags-y += -DX\n`, 'ccflags-y += -DX'],
    ['an object that is no new file', pre.replace('mmu.o', 'mmu.o other.o'), 'proc-y += mmu.o other.o'],
    ['an object less', pre.replace('proc-$(CONFIG_NET) += proc_net.o\n', ''), 'CFLAGS_uptime.o := -O2'],
    ['another order', pre.replace('uptime.o version.o', 'version.o uptime.o'), /version.o uptime.o/],
    ['a condition less', pre.replace('ifdef CONFIG_MMU\n', '').replace('endif\n', ''), 'proc-y += mmu.o'],
    ['the last line less', pre.replace('endif\n', ''), 'endif'],
    ['a directory', `${pre}obj-y += sub/\n`, 'obj-y += sub/'],
    ['a rule', `${pre}$(obj)/x.h: FORCE\n`, '$(obj)/x.h: FORCE'],
  ])('does more: %s', (_what, post, found) => {
    expect(otherRule(pre, post, fresh)).toEqual(
      typeof found === 'string' ? found : expect.stringMatching(found),
    );
  });

  it('names what it lists of them', () => {
    expect(listedObjects(`${pre}proc-y += a.o new.o\n`, fresh)).toEqual(['new.o']);
    expect(listedObjects(`${pre}CFLAGS_more.o := -g\n`, fresh)).toEqual([]);
  });
});
