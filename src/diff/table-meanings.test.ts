import { describe, expect, it } from 'vitest';
import { tableOf } from '../kernel/tables/table-of.ts';
import { tableMeaning } from './table-meanings.ts';

/** How a difference between pre and post in a section is taken: as its function's, not at all, or with this code. */
function taken(section: string): string {
  const onChange = tableOf(section)?.onChange;
  if (onChange !== 'refuse') return onChange ?? 'contents';
  return section.includes('+') ? 'export' : tableMeaning(section).code;
}

/**
 * Special sections of 6.1's objects, by include/asm-generic/vmlinux.lds.h, arch/x86/kernel/vmlinux.lds.S and what
 * 680 compiled units of Debian's cloud configuration have.
 */
describe('every special section of 6.1', () => {
  it.each([
    [
      'function',
      '.altinstructions .altinstr_replacement .altinstr_aux .parainstructions .smp_locks __ex_table',
    ],
    ['function', '__bug_table __jump_table .static_call_sites .retpoline_sites .return_sites __mcount_loc'],
    ['function', '_kprobe_blacklist'],
    ['ignore', '.orc_unwind .orc_unwind_ip .ibt_endbr_seal _error_injection_whitelist .static_call.text'],
    [
      'ignore',
      '__ksymtab_strings ___kcrctab+f ___kcrctab_gpl+f __modver .modinfo __versions .BTF .printk_index',
    ],
    [
      'ignore',
      '_ftrace_branch _ftrace_annotated_branch .gnu.linkonce.this_module .discard.reachable .comment',
    ],
    ['export', '___ksymtab+f ___ksymtab_gpl+f'],
    ['initcall_changed', '.initcallearly.init .initcall0.init .initcallrootfs.init .initcall7s.init'],
    ['initcall_changed', '.con_initcall.init'],
    ['boot_option_changed', '.init.setup'],
    ['parameter_changed', '__param'],
    [
      'pci_fixup_changed',
      '.pci_fixup_early .pci_fixup_header .pci_fixup_final .pci_fixup_enable .pci_fixup_resume',
    ],
    ['pci_fixup_changed', '.pci_fixup_resume_early .pci_fixup_suspend .pci_fixup_suspend_late'],
    ['trace_table_changed', '_ftrace_events _ftrace_eval_map __syscalls_metadata __tracepoints_ptrs'],
    ['trace_table_changed', '__bpf_raw_tp_map __tracepoint_str __trace_printk_fmt'],
    ['btf_ids_changed', '.BTF_ids'],
    [
      'boot_table_changed',
      '.exitcall.exit .lsm_info.init .early_lsm_info.init .x86_cpu_dev.init .apicdrivers',
    ],
    [
      'boot_table_changed',
      '.x86_intel_mid_dev.init .tracedata .builtin_fw .kunit_test_suites .init.ramfs.info',
    ],
    ['boot_table_changed', '__governor_thermal_table __earlycon_table __timer_of_table'],
    ['table_changed', '.static_call_tramp_key __dyndbg_classes'],
    [
      'contents',
      '__tracepoints __tracepoints_strings __dyndbg .data.once ___srcu_struct_ptrs __stop_sched_class',
    ],
  ])('%s: %s', (expected, sections) => {
    for (const section of sections.split(' '))
      expect(`${section} ${taken(section)}`).toBe(`${section} ${expected}`);
  });

  it('gives advice with every refusal', () => {
    const sections = [
      '.initcall6.init',
      '__param',
      '.pci_fixup_header',
      '_ftrace_events',
      '__tracepoints_ptrs',
    ];
    const more = [
      '__syscalls_metadata',
      '__tracepoint_str',
      '.BTF_ids',
      '.builtin_fw',
      '.static_call_tramp_key',
    ];
    for (const section of [...sections, ...more, '__dyndbg_classes', '.apicdrivers']) {
      for (const { severity, hint, why } of Object.values(tableMeaning(section).verdicts)) {
        expect(why).not.toBe('');
        if (severity === 'error') expect(hint, `${section}: ${why}`).toMatch(/.{10}/);
      }
    }
  });
});
