/**
 * Code that cannot be redirected, or must not be.
 *
 * While an update is switched on, the first byte of each old function is a breakpoint for a moment, and
 * afterwards there is a jump into the memory of a module. So an old function must be one that may take a
 * breakpoint, that runs where modules are mapped, and that is not running at every moment. The core refuses the
 * first kind on the machine, by the kernel's own list (`within_kprobe_blacklist()`); here all kinds are refused
 * when the update is made, each with its reason.
 *
 * Told by section where the kernel marks the code itself; by unit or name where only its callers make it special.
 */
import { CORE_HINT, CORE_WHY, coreOfTree } from '../build/core-of-tree.ts';
import { kprobeBlacklist } from '../kernel/tables/kprobe-blacklist.ts';
import { alwaysBusy } from './always-busy.ts';
import { sourceName } from './base-name.ts';
import type { DiagnosticCode } from './diagnostic.ts';
import type { UnitItem } from './unit.ts';
import type { UnitSide } from './unit-side.ts';

export interface Restriction {
  readonly code: DiagnosticCode;
  /** What the function is, and why it is left alone; ends a sentence that names it. */
  readonly why: string;
  readonly hint: string;
}

const OTHER_PLACE =
  'mend it in a function that this one is called by or calls, if that can be; else this needs a reboot';

const NO_BREAKPOINT = 'may not take the breakpoint by which a function is switched over';

const sections: readonly (readonly [pattern: RegExp, what: string, why: string])[] = [
  [/^\.noinstr\.text/, 'noinstr code', `${NO_BREAKPOINT}: it runs before the kernel's state is set up`],
  [
    /^\.entry\.text|^\.text\.\.entry/,
    'entry code',
    `${NO_BREAKPOINT}: it runs on the page tables of user space, where no module is mapped`,
  ],
  [/^\.kprobes\.text/, 'kprobe code', `${NO_BREAKPOINT}: the breakpoint handler runs through it`],
  [
    /^\.cpuidle\.text/,
    'idle code',
    'runs where RCU does not watch, and the kernel tells an idle CPU by this section',
  ],
  [/^\.head\.text/, 'boot code', 'has run, before the kernel had its own page tables'],
  [/^\.text\.\.__x86/, 'a thunk', 'is what the kernel writes into returns and indirect branches'],
];

/** Code that is special for where and when it runs, which no section tells. */
interface RestrictedUnits {
  readonly path: RegExp;
  /** Undefined: all functions of the unit. */
  readonly names?: readonly string[];
  readonly why: string;
  /** Where it is not that of all such code. */
  readonly hint?: string;
}

/**
 * Not here, though they sound like it: kernel/power/, syscore callbacks and kernel/kexec*.c. They are ordinary
 * code, on the kernel's page tables and with all of a CPU's state. That other CPUs are down does them no harm,
 * and no update is switched on meanwhile, since CPU hotplug is held. An image for hibernation has the updated
 * code together with the module that it leads to.
 */
const units: readonly RestrictedUnits[] = [
  {
    // restore_processor_state() and its callees set up segments, descriptor tables and %gs again; hibernate_64.c
    // builds page tables without modules, and its assembly leaves the kernel's own text.
    path: /^arch\/x86\/power\//,
    why:
      'it saves or restores a CPU over suspend and hibernation, where segments, %gs or page tables are not ' +
      'those of the kernel yet',
  },
  {
    // x86_acpi_suspend_lowlevel() is left in do_suspend_lowlevel() and entered again from the wakeup trampoline.
    path: /^arch\/x86\/kernel\/acpi\/(?:sleep|wakeup_64)\.o$/,
    why: 'it is where the machine goes to sleep and the firmware wakes it, on the way from real mode to the kernel',
  },
  {
    path: /^arch\/x86\/kernel\/relocate_kernel_64\.o$/,
    why: 'it is copied away by kexec, and runs from the copy',
  },
  {
    // machine_kexec() has taken down IDT and GDT when it calls relocate_kernel().
    path: /^arch\/x86\/kernel\/machine_kexec_64\.o$/,
    names: ['machine_kexec', 'load_segments'],
    why:
      'it leaves the kernel for another one (kexec), with descriptor tables taken down: no breakpoint can be ' +
      'handled there',
  },
  {
    // A crash may come from an NMI, so in the middle of a switch; other CPUs are then stopped by NMI for good.
    path: /^arch\/x86\/kernel\/(?:crash|reboot)\.o$/,
    names: [
      'machine_crash_shutdown',
      'native_machine_crash_shutdown',
      'crash_smp_send_stop',
      'kdump_nmi_shootdown_cpus',
      'kdump_nmi_callback',
      'nmi_shootdown_cpus',
      'crash_nmi_callback',
      'run_crash_ipi_callback',
      'nmi_panic_self_stop',
    ],
    why:
      'it takes CPUs down by NMI when the kernel has crashed, whatever they are doing: it must not depend on ' +
      'a module',
  },
  {
    // multi_cpu_stop() and what it calls, touch_nmi_watchdog() being inline.
    path: /^kernel\/(?:stop_machine|watchdog|watchdog_hld|workqueue|rcu\/tree)\.o$/,
    names: [
      'multi_cpu_stop',
      'cpu_stopper_thread',
      'stop_machine_yield',
      'arch_touch_nmi_watchdog',
      'touch_softlockup_watchdog',
      'touch_softlockup_watchdog_sched',
      'wq_watchdog_touch',
      'rcu_momentary_dyntick_idle',
    ],
    why: 'it runs on every CPU while an update is switched on',
  },
  {
    // A patch of a header gets here; one of these files is refused by its path.
    path: coreOfTree,
    why: `it ${CORE_WHY}`,
    hint: CORE_HINT,
  },
];

function byPlace(path: string, item: UnitItem): RestrictedUnits | undefined {
  const names = [item.name, ...item.aliases].map(sourceName);
  return units.find(
    (each) =>
      each.path.test(path) && (each.names === undefined || each.names.some((one) => names.includes(one))),
  );
}

function bySection(name: string): string {
  const found = sections.find(([pattern]) => pattern.test(name));
  return found === undefined
    ? `code in ${name} ${NO_BREAKPOINT}`
    : `${found[1]} (section ${name}) ${found[2]}`;
}

function restricted(why: string, hint = OTHER_PLACE): Restriction {
  return { code: 'restricted_code_changed', why, hint };
}

/**
 * Why a function of the original must not be replaced; undefined if it may be.
 * @param side the build that the item belongs to, for its tables
 */
export function restrictionOf(side: UnitSide, item: UnitItem): Restriction | undefined {
  const { path } = side.unit.object;
  if (item.sectionClass === 'restricted-text') return restricted(bySection(item.section.name));
  if ((side.entries.get(item) ?? []).some(({ table }) => table === kprobeBlacklist)) {
    return restricted(`it is marked NOKPROBE_SYMBOL, and ${NO_BREAKPOINT}`);
  }
  const place = byPlace(path, item);
  if (place !== undefined) return restricted(place.why, place.hint);
  const who = alwaysBusy(path, item);
  if (who === undefined) return undefined;
  return {
    code: 'always_busy',
    why: `it is on the stack of ${who} at every moment, so no safe point would ever be reached`,
    hint: 'mend it in a function that this one calls, if that can be; else this needs a reboot',
  };
}
