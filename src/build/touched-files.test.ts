import { describe, expect, it } from 'vitest';
import type { PatchFileKind } from './patch/model.ts';
import { classifyFiles, refusedInclusion } from './touched-files.ts';

function classified(
  ...files: readonly (readonly [string, PatchFileKind?])[]
): ReturnType<typeof classifyFiles> {
  return classifyFiles([
    {
      name: 'p',
      files: files.map(([path, kind]) => ({ kind: kind ?? 'changed', path, line: 1, hunks: [] })),
    },
  ]);
}

describe('C files that others include', () => {
  it('are refused in the vDSO and in assembly, and nowhere else', () => {
    expect(refusedInclusion('arch/x86/entry/vdso/vclock_gettime.c')).toContain('part of the vDSO');
    expect(refusedInclusion('arch/x86/lib/x.S')).toContain('which is assembly');
    expect(refusedInclusion('arch/x86/boot/compressed/misc.c')).toBeUndefined();
    expect(refusedInclusion('kernel/sched/build_policy.c')).toBeUndefined();
  });
});

describe('files of a patch', () => {
  it('takes C files once each', () => {
    expect(classified(['fs/pipe.c'], ['fs/pipe.c'], ['arch/x86/kernel/cpu/bugs.c'])).toEqual({
      sources: ['fs/pipe.c', 'arch/x86/kernel/cpu/bugs.c'],
      included: [],
      added: [],
      removed: [],
      refusals: [],
      notes: [],
    });
  });

  it('takes headers, and files that appear or vanish, as parts of what includes them', () => {
    const files = [['include/linux/fs.h'], ['fs/new.h', 'new'], ['fs/part.c', 'deleted']] as const;
    expect(classified(...files)).toEqual({
      sources: [],
      included: ['include/linux/fs.h', 'fs/new.h', 'fs/part.c'],
      added: ['fs/new.h'],
      removed: ['fs/part.c'],
      refusals: [],
      notes: [],
    });
    expect(classified(['fs/x.h', 'new'], ['fs/x.h', 'deleted']).refusals).toHaveLength(1);
  });

  it.each([
    ['Documentation/x.c'],
    ['tools/objtool/check.c'],
    ['scripts/mod/modpost.h'],
    ['net/Kconfig'],
    ['net/Kconfig.debug'],
    ['MAINTAINERS'],
    ['fs/ext4/notes.rst'],
    ['arch/arm64/include/asm/x.h'],
    ['.gitignore'],
  ])('passes over %s', (path) => {
    const { sources, refusals, notes } = classified([path], [path, 'new']);
    expect({ sources, refusals }).toEqual({ sources: [], refusals: [] });
    expect(notes).toEqual([expect.stringContaining(`${path}: ignored`)]);
  });

  it.each([
    ['arch/x86/entry/entry_64.S', 'changed', 'is assembly: not supported in this version'],
    ['net/ipv4/Makefile', 'changed', 'is neither C nor known to be without effect: not supported'],
    ['fs/to.c', 'renamed', 'is renamed from another name: not supported'],
    ['drivers/fw.bin', 'binary', 'is changed as a binary file: not supported'],
    [
      'arch/x86/entry/vdso/vclock_gettime.c',
      'changed',
      'is part of the vDSO, which is mapped into processes: not supported',
    ],
    ['kernel/bounds.c', 'changed', 'makes a header that all units include: not supported'],
  ] as const)('refuses %s (%s)', (path, kind, reason) => {
    expect(classified([path, kind], ['fs/pipe.c']).refusals).toEqual([
      { file: path, message: `${path} ${reason}` },
    ]);
  });
});
