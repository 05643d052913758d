/**
 * The patches of the series, in the order in which they apply: after each of them the kernel builds.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CORE_FOLDER, coreFiles } from './core-files.ts';
import { insertAfterLine, insertBeforeLine, insertMaintainers, removeLine } from './edit-text.ts';
import { addExitingTasks } from './exiting-tasks.ts';
import { addExports, TASK_SYMBOLS, TEXT_SYMBOLS } from './exports.ts';
import type { EditedTree } from './tree.ts';

export interface SeriesPatch {
  readonly subject: string;
  /** Paragraphs of the commit message, lines of at most 75 columns. */
  readonly body: string;
  readonly edit: (tree: EditedTree) => void;
}

const DOCUMENTATION = 'Documentation/admin-guide/ksplice.rst';

/** `author`: `Name <address>`. */
function maintainers(author: string): string {
  return `KSPLICE (HOT UPDATES OF THE KERNEL)
M:	${author}
S:	Maintained
F:	${CORE_FOLDER}/
`;
}

export function seriesPatches(coreSources: string, author: string): readonly SeriesPatch[] {
  return [
    {
      subject: 'rcu-tasks: Tell whether a task is exiting and off the tasklist',
      body: `Code that stops all CPUs and then looks at the stack of every task does not
see those that have left the tasklist and still run: they can be preempted,
and come back to whatever is on their stack.

RCU tasks knows of them, for its own scan has the same blind spot. Let it
say whether there are any.`,
      edit: addExitingTasks,
    },
    {
      subject: 'module: Declare module_mutex outside of kernel/module',
      body: `find_module() is declared in linux/module.h and asks for module_mutex or
disabled preemption. Who wants to take a reference to what it finds, or to
look at more than one module, needs the mutex.`,
      edit: (tree) => {
        tree.edit('kernel/module/internal.h', (source) =>
          removeLine(source, 'extern struct mutex module_mutex;'),
        );
        tree.edit('include/linux/module.h', (source) =>
          insertAfterLine(
            source,
            'struct module *find_module(const char *name);',
            '\n/* Modules come and go under it. */\nextern struct mutex module_mutex;\n',
          ),
        );
      },
    },
    {
      subject: 'kernel: Export what tells whose text an address is',
      body: `Ksplice writes to kernel text under the same locks as everybody else who
does, and has to know what belongs to ftrace, kprobes, jump labels, static
calls and alternatives. Export these functions for when it is a module.`,
      edit: (tree) => {
        addExports(tree, TEXT_SYMBOLS);
      },
    },
    {
      subject: 'kernel: Export what finds tasks and modules for ksplice',
      body: `Ksplice looks at the stacks of all tasks, idle ones and those that a tracer
has a hand in included, while all CPUs are stopped, and holds the modules
that it changes. Export these functions for when it is a module.`,
      edit: (tree) => {
        addExports(tree, TASK_SYMBOLS);
      },
    },
    {
      subject: 'ksplice: Add hot updates of the running kernel',
      body: `Replace functions of the running kernel, and of loaded modules, by others
that come in an update module. The module is linked on the machine, after
all old code was compared with memory; how is the business of user space.

All CPUs are stopped. If no task has a return address in the old code, and
all of it is as it was compared, a jump is written behind the ftrace entry
of each old function, by the steps of text_poke_bp_batch() with rendezvous
in place of IPIs. Undoing an update writes the old bytes back.

The same code works as a module of a kernel that does not have it.`,
      edit: (tree) => {
        for (const { path: file, text } of coreFiles(coreSources)) tree.add(file, text);
        tree.edit('arch/x86/Kconfig', (source) =>
          insertAfterLine(source, 'source "kernel/livepatch/Kconfig"', `source "${CORE_FOLDER}/Kconfig"\n`),
        );
        tree.edit('kernel/Makefile', (source) =>
          insertAfterLine(source, 'obj-y += livepatch/', 'obj-$(CONFIG_KSPLICE) += ksplice/\n'),
        );
        tree.edit('MAINTAINERS', (source) => insertMaintainers(source, maintainers(author)));
      },
    },
    {
      subject: 'Documentation: Describe ksplice',
      body: `Say what an update is, what happens when it is applied, and what the files
in sysfs are.`,
      edit: (tree) => {
        tree.add(DOCUMENTATION, readFileSync(path.join(coreSources, 'series', 'ksplice.rst'), 'utf8'));
        tree.edit('Documentation/admin-guide/index.rst', (source) =>
          insertAfterLine(source, '   kernel-per-CPU-kthreads', '   ksplice\n'),
        );
        tree.edit('MAINTAINERS', (source) =>
          insertBeforeLine(source, `F:\t${CORE_FOLDER}/`, `F:\t${DOCUMENTATION}\n`),
        );
      },
    },
  ];
}

/** Text of the cover letter; `version` is that of the kernel. */
export function coverLetter(version: string): string {
  return `This adds hot updates to Linux ${version}: replacing functions of the running
kernel without a reboot, from a source patch.

The program that makes updates and proves that they fit works on unmodified
kernels, too: it then loads the code of patch 5 as a module, bound to
addresses. In a kernel that has it, nothing has to be bound to what is not
exported, and a patch that changes what the core relies on meets the core
in the same tree.

Patch 1 lets RCU tasks answer a question. Patches 2 to 4 declare and export
what the core uses; the exports are needed only for CONFIG_KSPLICE=m. Patch
5 is the core, byte for byte as it is used standalone. Patch 6 documents it.`;
}
