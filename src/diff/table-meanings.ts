/**
 * What a new, changed or removed entry of a table means for a kernel that runs already, and what its author can
 * do. The linker gathers each of these tables into an array of fixed bounds; some are read while the kernel
 * boots and never again, others go on being read, as they were. An entry in a module is in neither.
 *
 * An error where the running kernel would not do what the patch says, a warning where all that is missing is a
 * thing of the next boot, to which no update lives.
 */
import type { DiagnosticCode, Severity } from './diagnostic.ts';

export type EntryChange = 'added' | 'changed' | 'removed';

export interface Verdict {
  readonly severity: Severity;
  /** The rest of a sentence that says what the patch does: why that has no effect, or another one. */
  readonly why: string;
  readonly hint?: string;
}

export interface TableMeaning {
  readonly sections: RegExp;
  readonly code: DiagnosticCode;
  /** What an entry is, with its article. */
  readonly noun: string;
  readonly verdicts: Readonly<Record<EntryChange, Verdict>>;
}

const error = (why: string, hint: string): Verdict => ({ severity: 'error', why, hint });
const warning = (why: string, hint?: string): Verdict => ({
  severity: 'warning',
  why,
  ...(hint === undefined ? {} : { hint }),
});

const initcall: TableMeaning = {
  sections: /^\.(?:con_)?initcall/,
  code: 'initcall_changed',
  noun: 'an initcall',
  verdicts: {
    added: error(
      'initcalls run once, while the kernel boots: this one would never run',
      'leave the initcall out of the patch, and have a hook do what of it the running kernel needs',
    ),
    changed: warning('it has run already; when it runs matters to the next boot only'),
    removed: warning(
      'it has run already, and what it did stays',
      'take back in a hook what it did, if it has to be',
    ),
  },
};

const bootOption: TableMeaning = {
  sections: /^\.init\.setup$/,
  code: 'boot_option_changed',
  noun: 'a boot option',
  verdicts: {
    added: warning(
      'the command line has been read: the new code sees the initial value of what the option sets',
      'set another value in a hook',
    ),
    changed: warning('the command line has been read, in the old way'),
    removed: warning('the command line has been read: what the option has set stays set'),
  },
};

const parameter: TableMeaning = {
  sections: /^__param$/,
  code: 'parameter_changed',
  noun: 'the parameter',
  verdicts: {
    added: error(
      'the parameters of the running kernel or module are fixed: there would be no such file in /sys/module',
      'leave module_param() out of the patch: the variable then has its initial value; or set it in a hook',
    ),
    changed: error(
      'the running kernel keeps the old entry: type, setter, variable and permissions stay as they are',
      'check the value where it is used, or change the setter that the old entry names if it is of this file; chmod its file in /sys/module',
    ),
    removed: warning('its file in /sys/module stays, and can be written to; the new code need not heed it'),
  },
};

const pciFixup: TableMeaning = {
  sections: /^\.pci_fixup/,
  code: 'pci_fixup_changed',
  noun: 'a PCI fixup,',
  verdicts: {
    added: error(
      "the kernel's list of fixups is fixed: it would never be called",
      'leave the entry out of the patch, and call its function in a hook for each device concerned',
    ),
    changed: error(
      "the kernel's list of fixups is fixed: it goes on using the old entry",
      'leave the entry as it is and look at the device in its function, or do in a hook what it is for',
    ),
    removed: error(
      'the kernel goes on calling it, when a device is found or resumes',
      'leave the entry in the patched source, and make its function do nothing',
    ),
  },
};

const NO_TRACING = 'leave it out of the patch; pr_debug() works in an update';

const tracepoint: TableMeaning = {
  sections: /^__tracepoints_ptrs$|^__bpf_raw_tp_map$/,
  code: 'trace_table_changed',
  noun: 'the tracepoint',
  verdicts: {
    added: error('the tracepoints that tracers and BPF find are fixed', NO_TRACING),
    changed: error('tracers and BPF go on using the old entry', NO_TRACING),
    removed: warning('tracers and BPF can still ask for it; the new code never hits it'),
  },
};

const traceEvent: TableMeaning = {
  sections: /^_ftrace_events$/,
  code: 'trace_table_changed',
  noun: 'the trace event',
  verdicts: {
    added: error(
      'the trace events of the running kernel are fixed: it would not appear among them',
      NO_TRACING,
    ),
    changed: error('the running kernel goes on using the old event', NO_TRACING),
    removed: warning('it stays among the trace events; the new code never hits it'),
  },
};

const syscall: TableMeaning = {
  sections: /^__syscalls_metadata$/,
  code: 'trace_table_changed',
  noun: 'the system call',
  verdicts: {
    added: error(
      'which function a number calls is in a constant table of the kernel, so nobody could call it',
      'an update cannot add a system call: leave it out of the patch',
    ),
    changed: error(
      'its trace events keep the old description',
      'leave the signature of the system call as it is',
    ),
    removed: error(
      'its number goes on calling the old function',
      'leave SYSCALL_DEFINE in the patched source, and have it return -ENOSYS',
    ),
  },
};

const traceText: TableMeaning = {
  sections: /^__tracepoint_str$|^__trace_printk_fmt$/,
  code: 'trace_table_changed',
  noun: 'a string of tracing',
  verdicts: {
    added: error(
      'trace buffers keep its address, maybe for longer than an update lasts, and tracers want strings of the kernel',
      'leave trace_printk() and tracepoint_string() out of the patch; pr_debug() works in an update',
    ),
    changed: error('trace buffers hold the address of the old one', 'leave the string as it is'),
    removed: warning('the kernel goes on listing it'),
  },
};

const traceValues: TableMeaning = {
  sections: /^_ftrace_eval_map$/,
  code: 'trace_table_changed',
  noun: 'a name for a value in trace events,',
  verdicts: {
    added: warning('formats of trace events have been made: tools show the number'),
    changed: warning('formats of trace events have been made, with the old value'),
    removed: warning('formats of trace events have been made, with the name'),
  },
};

const BTF =
  "the numbers of types and functions are filled in when the kernel is linked, and BPF's verifier goes by these";

const btfIds: TableMeaning = {
  sections: /^\.BTF_ids$/,
  code: 'btf_ids_changed',
  noun: 'the BTF id',
  verdicts: {
    added: error(
      BTF,
      'leave the set of BTF ids as it is: BPF programs cannot use the new entry before a reboot',
    ),
    changed: error(BTF, 'leave the set of BTF ids as it is'),
    removed: error(
      'the running kernel keeps it, so BPF programs can go on using it',
      'leave the set as it is, and change the code that looks it up',
    ),
  },
};

const LINKED = 'the linker has gathered such entries into an array of the kernel, which is fixed';

const exitcall: TableMeaning = {
  sections: /^\.exitcall\.exit$/,
  code: 'boot_table_changed',
  noun: 'an exit call',
  verdicts: {
    added: warning('built-in code is never unloaded, so it would not run'),
    changed: warning('built-in code is never unloaded, so it does not run'),
    removed: warning('built-in code is never unloaded, so it has never run'),
  },
};

const firmware: TableMeaning = {
  sections: /^\.builtin_fw$/,
  code: 'boot_table_changed',
  noun: 'built-in firmware,',
  verdicts: {
    added: error(LINKED, 'put the firmware into /lib/firmware'),
    changed: error(LINKED, 'put the firmware into /lib/firmware, and have its driver load it again'),
    removed: warning('the running kernel still has it'),
  },
};

const staticCallKey: TableMeaning = {
  sections: /^\.static_call_tramp_key$/,
  code: 'table_changed',
  noun: 'a static call for modules,',
  verdicts: {
    added: error(`${LINKED}: modules could not find its key`, 'call through a pointer in its place'),
    changed: error(LINKED, 'leave the static call as it is'),
    removed: warning('modules can go on using it'),
  },
};

const dynamicDebugClasses: TableMeaning = {
  sections: /^__dyndbg_classes$/,
  code: 'table_changed',
  noun: 'a class map of dynamic debug,',
  verdicts: {
    added: error(
      'the class maps that are known were registered with the kernel or module',
      'use pr_debug() without a class',
    ),
    changed: error('the one of the running kernel or module stays', 'leave the class map as it is'),
    removed: warning('the one of the running kernel or module stays'),
  },
};

/** CPU and APIC drivers, security modules, thermal governors, clocks, early consoles, ... */
const bootTable: TableMeaning = {
  sections: /^/,
  code: 'boot_table_changed',
  noun: 'an entry,',
  verdicts: {
    added: error(
      `${LINKED}, and what is there was chosen while it booted`,
      'leave it out of the patch, and register it in a hook if there is a function for that; else this needs a reboot',
    ),
    changed: error(
      `${LINKED}: it keeps the old entry`,
      'leave the entry as it is, and change the functions that it names',
    ),
    removed: warning('the running kernel has taken it up while it booted, and keeps it'),
  },
};

const meanings: readonly TableMeaning[] = [
  initcall,
  exitcall,
  bootOption,
  parameter,
  pciFixup,
  tracepoint,
  traceEvent,
  syscall,
  traceText,
  traceValues,
  btfIds,
  firmware,
  staticCallKey,
  dynamicDebugClasses,
];

/** Meaning of a table that the kernel gathers; total. */
export function tableMeaning(section: string): TableMeaning {
  return meanings.find(({ sections }) => sections.test(section)) ?? bootTable;
}
