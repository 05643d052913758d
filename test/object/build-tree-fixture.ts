/**
 * A source tree of a few small files with a Makefile that behaves as kbuild does where the build room
 * looks: targets of the preparation, single objects, `.cmd` files, object lists, the message that is
 * printed before a compilation, external modules. It lets every path be taken in seconds; that real
 * kernels behave so is what the tests with real kernels show.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Patch } from '../../src/build/patch/model.ts';
import { parsePatch } from '../../src/build/patch/parse-patch.ts';
import type { PrepareOptions } from '../../src/build/tree.ts';
import { run } from '../../src/process/run.ts';

const makefile = `VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 99
# KBUILD_ stands here because a kernel's Makefile speaks of it.
MAKEFLAGS += -rR
srctree := $(CURDIR)
real-obj-y := fs/pipe.o fs/sched.o fs/one.o fs/two.o fs/three.o fs/four.o fs/../virt/far.o
real-obj-m := fs/nfs.o fs/shared.o fs/half.o fs/crc-core.o
modname-shared := nfs:nfsd
modname-half := nfs:unix
modname-crc-core := crc-all
modname = $(or $(modname-$(basename $(@F))),$(basename $(@F)))
lib-y := lib/sort.o
flags = -Wp,-MMD,$(@D)/.$(@F).d -I$(srctree)/include -I./include/generated -fmacro-prefix-map=$(srctree)/= -O2 -g \\
	-DKBUILD_MODNAME='"$(modname)"' $(if $(M)$(filter $@,$(real-obj-m)),-DMODULE) $(KCFLAGS)
cmd_cc_o_c = $(CC) $(flags) -c -o $@ $< ; ./tools/objtool/objtool --orc $@
quiet_cmd_cc_o_c = CC      $@
aflags = -Wp,-MMD,$(@D)/.$(@F).d -I$(srctree)/include -D__ASSEMBLY__ $(if $(filter $@,$(real-obj-m)),-DMODULE) $(KAFLAGS)
cmd_as_o_S = $(CC) $(aflags) -c -o $@ $< ; ./tools/objtool/objtool --orc $@
quiet_cmd_as_o_S = AS      $@
escaped = $(subst ','\\'',$(cmd_$(1)))

.PHONY: olddefconfig prepare scripts FORCE
olddefconfig:
	@sed -i -e '/CONFIG_RUST/d' $(O)/.config
	@echo 'CONFIG_BUILD_SALT=""' >> $(O)/.config
prepare:
	@echo PREPARING $(KBUILD_BUILD_USER)
	@mkdir -p $(O)/include/generated $(O)/tools/objtool $(O)/scripts/basic
	@printf 'printf "cmd_%%s := %%s\\n" "$$2" "$$3"' > $(O)/scripts/basic/fixdep
	@echo '#define GENERATED 7' > $(O)/include/generated/gen.h
	@printf '#!/bin/sh\\nfor object; do :; done\\nobjcopy --add-section .orc_unwind=include/generated/gen.h "$$object"\\n' > $(O)/tools/objtool/objtool
	@chmod +x $(O)/tools/objtool/objtool
scripts:
	@echo SCRIPTS
ifdef M
define external
	@cd $(O) && $(CC) -I$(srctree)/include -DKBUILD_MODNAME='"core"' $(ccflags-y) -DMODULE -c -o $(M)/$@ $<
endef
main.o stop.o: %.o: $(M)/%.c FORCE
	$(external)
stub/update.o: $(M)/stub/update.c FORCE
	$(external)
include $(M)/Kbuild
else
define compile
	@set -e; echo '  $(quiet_cmd_$(1))'; cd $(O); mkdir -p $(@D); $(cmd_$(1)); sh scripts/basic/fixdep $(@D)/.$(@F).d $@ '$(escaped)' > $(@D)/.$(@F).cmd
endef
./: $(real-obj-y) $(real-obj-m) $(lib-y) arch/x86/entry/vdso/clock.o
	@echo '  GEN     names.h'; sed p $(srctree)/include/linux/names.h > names.h
	@set -e; printf '%s\\n'   nfs.o shared.o half.o | awk '!x[$$0]++ { print("fs/"$$0) }' > fs/nfs.mod; true
	@set -e; printf '%s\\n'   shared.o shared.o | awk '!x[$$0]++ { print("fs/"$$0) }' > fs/nfsd.mod; true
fs/%.o: $(srctree)/fs/%.c FORCE
	$(call compile,cc_o_c)
fs/%.o: $(srctree)/fs/%.S FORCE
	$(call compile,as_o_S)
arch/x86/entry/vdso/%.o: $(srctree)/arch/x86/entry/vdso/%.c FORCE
	$(call compile,cc_o_c)
lib/%.o: $(srctree)/lib/%.c FORCE
	$(call compile,cc_o_c)
endif
FORCE:
`;

const files: Readonly<Record<string, string>> = {
  Makefile: makefile,
  'include/linux/kernel.h': 'extern int printk(const char *fmt, ...);\n',
  'fs/local.h': '#include "../lib/shared.h"\n#define LOCAL 3\n',
  'lib/shared.h': '#define SHARED 4\n',
  'fs/pipe.c': `#include <linux/kernel.h>
#include <gen.h>
#include "local.h"
#include "../lib/shared.h"

/* A comment of one line. */
static int hidden(int x)
{
	return printk("%s:%d", __FILE__, x);
}

int pipe_open(int x)
{
	if (x > LOCAL + SHARED + GENERATED)
		return hidden(x);
	return 0;
}
`,
  'fs/notes.xyz': 'a note\n',
  'fs/all.h': '#include "rt.c"\n',
  'fs/sched.c':
    '#include <linux/kernel.h>\n#include "all.h"\nint sched_tick(void)\n{\n\treturn rt_tick(1);\n}\n',
  'fs/rt.c': 'static __attribute__((noinline)) int rt_tick(int x)\n{\n\treturn printk("rt %d", x);\n}\n',
  'fs/nfs.c': 'int nfs_open(void)\n{\n\treturn 1;\n}\n',
  'fs/shared.c': 'int shared_open(void)\n{\n\treturn 1;\n}\n',
  'fs/half.c': 'int half_open(void)\n{\n\treturn 1;\n}\n',
  'fs/crc-core.S': `#include <linux/step.h>
#include "glue.S"
.globl crc_add
crc_add:
	lea STEP(%rdi), %rax
	FINISH
.type crc_add, @function
.size crc_add, . - crc_add
`,
  'include/linux/step.h': '#define STEP 1\n',
  'fs/glue.S': '.macro FINISH\n\tret\n.endm\n',
  'arch/x86/entry/vdso/clock.c': '#include "../../../../lib/time.c"\n',
  'lib/time.c': 'int time_now(void)\n{\n\treturn 1;\n}\n',
  'fs/unused.c': 'int unused_open(void)\n{\n\treturn 1;\n}\n',
  'virt/far.c': '#include "far.h"\nconst char *far_file(void)\n{\n\treturn FAR __FILE__;\n}\n',
  'virt/far.h': '#define FAR "far "\n',
  'include/linux/names.h': '#define NAME 1\n',
  'include/linux/wide.h': `struct pair {
	int a;
};
#define WIDE(x) ((x) + 1)
static inline int wide_add(int x)
{
	return x + 1;
}
static inline int wide_line(void)
{
	return __LINE__;
}
`,
  'fs/one.c': '#include <linux/wide.h>\nint one_open(int x)\n{\n\treturn wide_add(x);\n}\n',
  'fs/two.c':
    '#include <linux/wide.h>\nint two_open(struct pair *p)\n{\n\treturn wide_add(p->a) + wide_line();\n}\n',
  'fs/three.c': `#ifdef NEVER
#include <linux/wide.h>
#endif
int three_open(int x)
{
	return x;
}
`,
  'fs/four.c': '#include <linux/wide.h>\nint four_open(int x)\n{\n\treturn WIDE(x);\n}\n',
  'lib/sort.c': 'int sort_it(int x)\n{\n\treturn x + 1;\n}\n',
  'core/Kbuild':
    'obj-m := ksplice.o\nksplice-objs := main.o stop.o\nobj-m += ksplice_update.o\nksplice_update-objs := stub/update.o\n',
  'core/main.c':
    '#include <linux/kernel.h>\nint stop_all(void);\nint init_module(void)\n{\n\treturn printk(__FILE__) + stop_all();\n}\n',
  'core/stop.c': 'int stop_all(void)\n{\n\treturn 0;\n}\n',
  'core/stub/update.c':
    'static const char magic[] __attribute__((section(".modinfo"), used)) = "vermagic=6.1.99-test SMP mod_unload ";\n',
  'headers/Module.symvers':
    '0x11111111\tphys_base\tvmlinux\tEXPORT_SYMBOL\t\n0xca916cb2\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n',
};

/** A tree in a directory of its own; `remove` takes all of it away. */
/** What authors of patches include; this project's own. */
export const AUTHOR_HEADERS = path.resolve(import.meta.dirname, '../../include');

export interface BuildFixture {
  readonly directory: string;
  readonly source: string;
  readonly core: string;
  readonly headers: string;
  readonly options: PrepareOptions;
  readonly remove: () => Promise<void>;
}

export async function createBuildFixture(
  config: Readonly<Record<string, string>> = {},
): Promise<BuildFixture> {
  const directory = await mkdtemp(path.join(tmpdir(), 'ksplice-build-'));
  const source = path.join(directory, 'linux-6.1.99');
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(/^(?:core|headers)\//.test(name) ? directory : source, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const { stdout } = await run(['gcc', '--version']);
  const options = {
    X86_64: 'y',
    CC_IS_GCC: 'y',
    CC_VERSION_TEXT: `"${stdout.split('\n')[0] ?? ''}"`,
    ...config,
  };
  const configFile = path.join(directory, 'config-6.1.99-test');
  await writeFile(
    configFile,
    Object.entries(options)
      .map(([name, value]) => `CONFIG_${name}=${value}\n`)
      .join(''),
  );
  return {
    directory,
    source,
    core: path.join(directory, 'core'),
    headers: path.join(directory, 'headers'),
    options: {
      source,
      config: configFile,
      release: '6.1.99-test',
      cacheDir: path.join(directory, 'cache'),
      symvers: path.join(directory, 'headers'),
      jobs: 2,
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** A patch that replaces `from` by `to` in the given files of the tree, as `diff -u` writes it. */
export async function patchOf(
  fixture: BuildFixture,
  changes: readonly (readonly [file: string, from: string, to: string])[],
  name = 'fix.patch',
): Promise<Patch> {
  const after = path.join(fixture.directory, 'b');
  await rm(after, { recursive: true, force: true });
  let text = '';
  for (const [file, from, to] of changes) {
    const old = path.join(fixture.source, file);
    const changed = path.join(after, file);
    await mkdir(path.dirname(changed), { recursive: true });
    await cp(old, changed);
    await writeFile(changed, (await readFile(old, 'utf8')).replace(from, to));
    const labels = ['--label', `a/${file}`, '--label', `b/${file}`] as const;
    const diff = await run(['diff', '-u', ...labels, old, changed], { okExitCodes: [0, 1] });
    text += diff.stdout;
  }
  return parsePatch(text, name);
}

/** Every file of a tree with size and time: equal before and after, if nothing was written to. */
export async function snapshot(directory: string): Promise<readonly string[]> {
  const names = (await readdir(directory, { recursive: true })).sort();
  return Promise.all(
    names.map(async (name) => {
      const found = await stat(path.join(directory, name));
      return `${name} ${found.isFile() ? found.size : 'directory'} ${found.mtimeMs}`;
    }),
  );
}
