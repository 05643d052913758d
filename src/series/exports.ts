/**
 * What the core needs, and the kernel does not export to modules: only for a core that is built as a module.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { exportSymbol } from './edit-text.ts';
import type { EditedTree } from './tree.ts';

export interface ExportedSymbol {
  readonly name: string;
  /** Where it is defined; where there are several files, kernels differ. */
  readonly files: readonly string[];
}

function from(file: string, names: readonly string[]): readonly ExportedSymbol[] {
  return names.map((name) => ({ name, files: [file] }));
}

/** Whose code an address is, and who may rewrite it. */
export const TEXT_SYMBOLS: readonly ExportedSymbol[] = [
  ...from('arch/x86/kernel/alternative.c', ['alternatives_text_reserved']),
  ...from('kernel/extable.c', ['text_mutex', 'core_kernel_text', '__kernel_text_address']),
  ...from('kernel/events/core.c', ['perf_event_text_poke']),
  ...from('kernel/jump_label.c', ['jump_label_lock', 'jump_label_unlock', 'jump_label_text_reserved']),
  ...from('kernel/kallsyms.c', ['kallsyms_lookup_size_offset']),
  ...from('kernel/kprobes.c', [
    'kprobe_insn_slots',
    '__is_insn_slot_addr',
    'kprobe_optinsn_slots',
    'within_kprobe_blacklist',
  ]),
  ...from('kernel/static_call_inline.c', ['static_call_text_reserved']),
  ...from('kernel/trace/ftrace.c', ['ftrace_text_reserved']),
];

/** Tasks, their stacks, modules, and how to stop everything. */
export const TASK_SYMBOLS: readonly ExportedSymbol[] = [
  ...from('kernel/fork.c', ['put_task_stack']),
  ...from('kernel/module/main.c', ['module_mutex', 'find_module', '__module_address']),
  { name: 'idle_task', files: ['kernel/sched/core.c', 'kernel/sched/syscalls.c'] },
  ...from('kernel/stop_machine.c', ['stop_machine_cpuslocked']),
  ...from('kernel/trace/fgraph.c', ['ftrace_graph_get_ret_stack']),
];

/** Throws RefusedError, which names the file and the symbol. */
export function addExports(tree: EditedTree, symbols: readonly ExportedSymbol[]): void {
  for (const { name, files } of symbols) {
    const file = files.find((each) => new RegExp(`\\b${name}\\b`).test(tree.textOf(each) ?? ''));
    if (file === undefined) {
      throw new RefusedError(
        'refused',
        `${files.join(' or ')}: expected the definition of ${name}, found none`,
        {
          details: { files, symbol: name },
        },
      );
    }
    tree.edit(file, (source) => exportSymbol(source, name));
  }
}
