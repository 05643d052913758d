/**
 * Tables of pointers and records that the kernel walks once, while it boots, or that the linker gathers
 * into an array of fixed bounds. An entry in a module is never looked at; a new or changed one is an
 * effect of the patch that would silently be missing.
 */
import type { SpecialTable } from './special-table.ts';

function bootTable(section: string, prefix: boolean, entrySize: number | undefined): SpecialTable {
  return {
    section,
    prefix,
    entrySize,
    fields: [],
    extraction: 'drop',
    onChange: 'refuse',
    why: 'the kernel reads it only while it boots',
  };
}

/** Sections gathered by include/asm-generic/vmlinux.lds.h and arch/x86/kernel/vmlinux.lds.S. */
export const bootTables: readonly SpecialTable[] = [
  // s32 each, relative to itself (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS).
  bootTable('.initcall', true, 4),
  bootTable('.con_initcall.init', false, 4),
  // struct obs_kernel_param: string, function, early.
  bootTable('.init.setup', false, 24),
  bootTable('.exitcall.exit', false, 8),
  bootTable('.lsm_info.init', false, undefined),
  bootTable('.early_lsm_info.init', false, undefined),
  bootTable('.x86_cpu_dev.init', false, 8),
  bootTable('.x86_intel_mid_dev.init', false, 8),
  bootTable('.apicdrivers', false, 8),
  bootTable('.pci_fixup', true, 16),
  bootTable('.tracedata', false, undefined),
  bootTable('.builtin_fw', false, undefined),
  bootTable('.kunit_test_suites', false, 8),
  bootTable('.init.ramfs', true, undefined),
  bootTable('.dtb.init.rodata', false, undefined),
  bootTable('.videocards', false, undefined),
  bootTable('___kentry', true, 8),
  bootTable('__earlycon_table', false, undefined),
  bootTable('__acpi_probe_table', false, undefined),
  bootTable('__thermal_table', true, undefined),
  bootTable('__governor_thermal_table', false, undefined),
  bootTable('__irqchip_of_table', true, undefined),
  bootTable('__irqchip_acpi_probe_table', false, undefined),
  bootTable('__timer_of_table', true, undefined),
  bootTable('__timer_acpi_probe_table', false, undefined),
  bootTable('__reservedmem_of_table', true, undefined),
  bootTable('__clk_of_table', true, undefined),
  bootTable('__cpu_method_of_table', true, undefined),
  bootTable('__cpuidle_method_of_table', true, undefined),
  bootTable('.init_array', true, 8),
  bootTable('.fini_array', true, 8),
  bootTable('.ctors', true, 8),
  bootTable('.dtors', true, 8),
];
