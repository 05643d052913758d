/**
 * Tables of tracing. Each of them registers something when a module is loaded: an event, a syscall's
 * metadata, a tracepoint. Copied for code that the kernel has already, they would register it twice
 * (include/linux/syscalls.h makes two entries for every SYSCALL_DEFINE in a unit). Code refers to the
 * records, not to these pointers, and the records are existing objects.
 */
import type { OnChange, SpecialTable } from './special-table.ts';

function traceTable(
  section: string,
  entrySize: number | undefined,
  onChange: OnChange,
  why: string,
): SpecialTable {
  return { section, prefix: false, entrySize, fields: [], extraction: 'drop', onChange, why };
}

const events = 'the events exist already and would be registered twice';

export const traceTables: readonly SpecialTable[] = [
  // struct trace_event_call *
  traceTable('_ftrace_events', 8, 'refuse', events),
  // struct syscall_metadata *
  traceTable('__syscalls_metadata', 8, 'refuse', events),
  // struct trace_eval_map *
  traceTable('_ftrace_eval_map', 8, 'refuse', events),
  // s32, relative to itself: struct tracepoint
  traceTable('__tracepoints_ptrs', 4, 'refuse', events),
  // struct bpf_raw_event_map, 32 bytes
  traceTable('__bpf_raw_tp_map', 32, 'refuse', events),
  traceTable('__tracepoint_str', 8, 'refuse', events),
  traceTable(
    '__trace_printk_fmt',
    8,
    'refuse',
    'trace_printk formats are registered when a module is loaded',
  ),
  traceTable('_ftrace_annotated_branch', undefined, 'ignore', 'branch profiling counts in the original'),
  traceTable('_ftrace_branch', undefined, 'ignore', 'branch profiling counts in the original'),
  traceTable('__dyndbg_classes', undefined, 'refuse', 'the classes exist already'),
  // struct pi_entry *
  traceTable('.printk_index', undefined, 'ignore', 'it lists format strings for a debugfs file'),
];
