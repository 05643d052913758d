/**
 * Functions that are on some stack at every moment, on every machine. No thread may be in old code when an update
 * is switched on, so an update that replaces one of them would wait for ever: neither engine can apply it.
 *
 * The list holds what nobody can get a thread out of: loops of kernel threads that no configuration leaves out and
 * that end with the machine, and what idle tasks and sleeping threads stand in. It was read from the source of 6.1
 * (who calls kthread_create() from an initcall without a condition; do_idle() for idle tasks, which leave the CPU
 * to the stopper through schedule_idle()), and compared with /proc/PID/stack of all threads of a guest, read
 * three times (it leaves out the scheduler's own functions, `in_sched_functions()`).
 *
 * What depends on the command line, on a setting or on what processes do (kauditd_thread, khugepaged, ep_poll) is
 * not here: there the machine may be brought to a safe point, and apply says who is in the way. A name that
 * another kernel version does not have does no harm; one that is missing costs a late refusal, `code_busy`.
 */
import { sourceName } from './base-name.ts';
import type { UnitItem } from './unit.ts';

interface BusyFunctions {
  /** What the path of the unit begins with: the file varies (kernel/sched/build_policy.c includes idle.c). */
  readonly path: string;
  readonly names: readonly string[];
  /** Whose stack it is on. */
  readonly who: string;
}

const busyFunctions: readonly BusyFunctions[] = [
  { path: 'kernel/sched/', names: ['__schedule', 'schedule'], who: 'sleeping threads' },
  { path: 'kernel/sched/', names: ['schedule_idle', 'do_idle', 'cpu_startup_entry'], who: 'idle tasks' },
  // khungtaskd and kcompactd sleep with a timeout only.
  { path: 'kernel/time/', names: ['schedule_timeout'], who: 'kernel threads that sleep with a timeout' },
  { path: 'arch/x86/kernel/smpboot', names: ['start_secondary'], who: 'idle tasks' },
  { path: 'init/main', names: ['rest_init'], who: 'idle tasks' },
  { path: 'kernel/kthread', names: ['kthread', 'kthreadd'], who: 'kernel threads' },
  { path: 'kernel/workqueue', names: ['worker_thread', 'rescuer_thread'], who: 'workers of workqueues' },
  { path: 'kernel/smpboot', names: ['smpboot_thread_fn'], who: 'ksoftirqd and other threads of each CPU' },
  {
    path: 'kernel/rcu/',
    names: ['rcu_gp_kthread', 'rcu_tasks_kthread', 'rcu_tasks_one_gp'],
    who: "RCU's grace period threads",
  },
  { path: 'kernel/hung_task', names: ['watchdog'], who: 'khungtaskd' },
  { path: 'mm/vmscan', names: ['kswapd'], who: 'the kswapd threads' },
  { path: 'mm/compaction', names: ['kcompactd'], who: 'the kcompactd threads' },
  { path: 'mm/oom_kill', names: ['oom_reaper'], who: 'oom_reaper' },
  { path: 'mm/ksm', names: ['ksm_scan_thread'], who: 'ksmd' },
  { path: 'drivers/base/devtmpfs', names: ['devtmpfsd', 'devtmpfs_work_loop'], who: 'kdevtmpfs' },
];

/** Who is always in a function; undefined for the others. */
export function alwaysBusy(path: string, item: UnitItem): string | undefined {
  const names = [item.name, ...item.aliases].map(sourceName);
  return busyFunctions.find(
    (each) => path.startsWith(each.path) && each.names.some((one) => names.includes(one)),
  )?.who;
}
