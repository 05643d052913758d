import { describe, expect, it } from 'vitest';
import type { PatchFileKind } from './patch/model.ts';
import { classifyFiles, refusedInclusion, specialAssembly } from './touched-files.ts';

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

describe('files that others include', () => {
  it('are refused in the vDSO, C in assembly, and nowhere else', () => {
    expect(refusedInclusion('arch/x86/entry/vdso/vclock_gettime.c', 'lib/x.c')).toContain('part of the vDSO');
    expect(refusedInclusion('arch/x86/lib/x.S', 'lib/x.c')).toContain('which is assembly');
    expect(refusedInclusion('arch/x86/boot/compressed/misc.c', 'lib/x.c')).toBeUndefined();
    expect(refusedInclusion('kernel/sched/build_policy.c', 'kernel/sched/rt.c')).toBeUndefined();
  });

  it('are taken in assembly if they are assembly, but for what no function can be replaced in', () => {
    const glue = 'arch/x86/crypto/glue_helper-asm-avx.S';
    expect(refusedInclusion('arch/x86/crypto/serpent-avx-x86_64-asm_64.S', glue)).toBeUndefined();
    expect(refusedInclusion('arch/x86/kernel/head_64.S', 'arch/x86/lib/x.S')).toBe(
      'is included by arch/x86/kernel/head_64.S, which is boot code, which has run already: not supported',
    );
  });
});

describe('assembly in which nothing can be replaced', () => {
  it('is told by where it is, and is neither C nor of 32 bits', () => {
    expect(specialAssembly('arch/x86/entry/thunk_64.S')).toMatch(/^is entry code/);
    expect(specialAssembly('arch/x86/platform/efi/efi_stub_64.S')).toMatch(/^calls the firmware/);
    expect(specialAssembly('arch/x86/kernel/ftrace_64.S')).toMatch(/^is what ftrace/);
    for (const file of ['arch/x86/lib/memset_64.S', 'arch/x86/entry/entry_32.S', 'arch/x86/entry/common.c']) {
      expect(specialAssembly(file)).toBeUndefined();
    }
  });
});

describe('files of a patch', () => {
  it('takes C files once each', () => {
    expect(classified(['fs/pipe.c'], ['fs/pipe.c'], ['arch/x86/kernel/cpu/bugs.c'])).toEqual({
      sources: ['fs/pipe.c', 'arch/x86/kernel/cpu/bugs.c'],
      included: [],
      added: [],
      removed: [],
      makefiles: [],
      refusals: [],
      notes: [],
    });
  });

  it('takes assembly, and leaves what is of 32 bits to kbuild', () => {
    const files = ['arch/x86/lib/memmove_64.S', 'arch/x86/entry/entry_32.S', 'arch/x86/crypto/sha1_ni_asm.S'];
    expect(classified(...files.map((file) => [file] as const))).toMatchObject({
      sources: files,
      refusals: [],
    });
  });

  it('takes headers, and files that appear or vanish, as parts of what includes them', () => {
    const files = [['include/linux/fs.h'], ['fs/new.h', 'new'], ['fs/part.c', 'deleted']] as const;
    expect(classified(...files)).toEqual({
      sources: [],
      included: ['include/linux/fs.h', 'fs/new.h', 'fs/part.c'],
      added: ['fs/new.h'],
      removed: ['fs/part.c'],
      makefiles: [],
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
    [
      'arch/x86/entry/entry_64.S',
      'changed',
      'is entry code: it runs before the kernel has its page tables and stack: not supported',
    ],
    [
      'arch/x86/kernel/vmlinux.lds.S',
      'changed',
      'is a linker script: it lays the whole kernel out: not supported',
    ],
    ['arch/x86/kernel/head_64.S', 'changed', 'is boot code, which has run already: not supported'],
    [
      'arch/x86/kernel/relocate_kernel_64.S',
      'changed',
      'leads into another kernel (kexec), with this one gone: not supported',
    ],
    [
      'arch/x86/power/hibernate_asm_64.S',
      'changed',
      'runs while the machine goes to sleep or wakes up, when neither modules nor jumps can be relied on: not supported',
    ],
    ['arch/x86/realmode/rm/header.S', 'changed', 'runs before or outside the kernel: not supported'],
    ['arch/x86/lib/new_64.S', 'new', 'is a new file of assembly: not supported'],
    ['arch/x86/lib/memmove_64.S', 'deleted', 'is assembly, and is deleted: not supported'],
    [
      'net/ipv4/Makefile',
      'new',
      'appears or is deleted, and with it a whole directory of the build: not supported',
    ],
    ['net/ipv4/rules.mk', 'changed', 'is neither C nor known to be without effect: not supported'],
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

  it.each([
    ['kernel/ksplice/stop.c', 'changed'],
    ['kernel/ksplice/core.h', 'changed'],
    ['kernel/ksplice/Makefile', 'changed'],
    ['kernel/ksplice/more.c', 'new'],
    ['kernel/ksplice/more.c', 'renamed'],
  ] as const)('refuses the core of a kernel that carries it: %s (%s)', (path, kind) => {
    expect(classified([path, kind], ['kernel/ksplice/Kconfig'], ['kernel/kprobes.c'])).toMatchObject({
      sources: ['kernel/kprobes.c'],
      included: [],
      makefiles: [],
      refusals: [
        {
          file: path,
          message: `${path} is part of the core, which switches updates and cannot switch itself`,
          hint: expect.stringContaining('modprobe ksplice'),
        },
      ],
    });
  });

  it('leaves changed build rules to who knows what they change', () => {
    const { makefiles, refusals } = classified(['fs/Makefile'], ['certs/Kbuild']);
    expect({ makefiles, refusals }).toEqual({ makefiles: ['fs/Makefile', 'certs/Kbuild'], refusals: [] });
  });
});
