import { describe, expect, it } from 'vitest';
import { compareUnit, diffCompared } from '../../src/diff/diff-unit.ts';
import { type ChangedUnit, patchDiagnostics } from '../../src/diff/patch-diagnostics.ts';
import { brief, changeAt, exportOf, f, OBJECT, only, pointer } from './diff-change.ts';
import { compile } from './diff-compile.ts';

const returning = (name: string, value: number, section?: string): string =>
  `${section === undefined ? '' : `__section("${section}") `}int ${name}(int x) { return use(x) + ${value}; }\n`;
const blacklisted = (name: string): string => pointer('_kprobe_blacklist', name);

/** Replaced functions, and what there is to say, when one function changes. */
function changing(path: string, name: string, section?: string, more = ''): readonly string[] {
  const change = changeAt(path, returning(name, 1, section) + more, returning(name, 2, section) + more);
  return [...change.replaced.map((each) => `replaced ${each.name}`), ...change.diagnostics.map(brief)];
}

describe('code that cannot be replaced', () => {
  it.each([
    ['.noinstr.text', /noinstr code .* may not take the breakpoint/],
    ['.entry.text', /entry code .* page tables of user space/],
    ['.kprobes.text', /kprobe code .* breakpoint handler runs through it/],
    ['.cpuidle.text', /idle code .* RCU does not watch/],
    ['.head.text', /boot code .* has run/],
    ['.text..__x86.return_thunk', /thunk/],
  ])('in %s', (section, message) => {
    const change = changeAt(OBJECT, returning('f', 1, section), returning('f', 2, section));
    expect(change.replaced).toEqual([]);
    expect(change.diagnostics.map(brief)).toEqual(['error restricted_code_changed']);
    expect(change.diagnostics[0]).toMatchObject({
      message: expect.stringMatching(message),
      location: { unit: OBJECT, section, symbol: 'f' },
      hint: expect.stringContaining('reboot'),
    });
  });

  it('in the core of a kernel that carries it, where a header has changed it', () => {
    const path = 'kernel/ksplice/stop.o';
    const [found, ...others] = changeAt(path, returning('f', 1), returning('f', 2)).diagnostics;
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      code: 'restricted_code_changed',
      message: expect.stringContaining('f: changed function cannot be replaced: it is part of the core'),
      location: { unit: path, symbol: 'f' },
      hint: expect.stringContaining('modprobe ksplice'),
    });
  });

  it('in ordinary text, where no probe may be planted', () => {
    expect(changing(OBJECT, 'f', undefined, blacklisted('f'))).toEqual(['error restricted_code_changed']);
    expect(changing(OBJECT, 'f', undefined, `${returning('g', 3)}${blacklisted('g')}`)).toEqual([
      'replaced f',
    ]);
  });

  it.each([
    ['arch/x86/power/cpu.o', 'restore_processor_state', 'error restricted_code_changed'],
    ['arch/x86/power/hibernate.o', 'pfn_is_nosave', 'error restricted_code_changed'],
    ['arch/x86/kernel/acpi/sleep.o', 'x86_acpi_suspend_lowlevel', 'error restricted_code_changed'],
    ['arch/x86/kernel/machine_kexec_64.o', 'machine_kexec', 'error restricted_code_changed'],
    ['arch/x86/kernel/machine_kexec_64.o', 'machine_kexec_prepare', 'replaced machine_kexec_prepare'],
    ['arch/x86/kernel/crash.o', 'kdump_nmi_callback', 'error restricted_code_changed'],
    ['arch/x86/kernel/crash.o', 'crash_load_segments', 'replaced crash_load_segments'],
    ['kernel/stop_machine.o', 'multi_cpu_stop', 'error restricted_code_changed'],
    ['kernel/rcu/tree.o', 'rcu_momentary_dyntick_idle', 'error restricted_code_changed'],
    ['kernel/kexec_file.o', 'kexec_image_load_default', 'replaced kexec_image_load_default'],
    ['kernel/power/suspend.o', 'suspend_enter', 'replaced suspend_enter'],
    ['kernel/sched/core.o', '__schedule', 'error always_busy'],
    ['kernel/sched/build_policy.o', 'do_idle', 'error always_busy'],
    ['kernel/workqueue.o', 'worker_thread', 'error always_busy'],
    ['kernel/workqueue.o', 'process_one_work', 'replaced process_one_work'],
    ['kernel/rcu/tree.o', 'rcu_gp_kthread', 'error always_busy'],
    ['kernel/smpboot.o', 'smpboot_thread_fn', 'error always_busy'],
    ['mm/compaction.o', 'kcompactd', 'error always_busy'],
    ['kernel/hung_task.o', 'watchdog', 'error always_busy'],
    ['drivers/watchdog/softdog.o', 'watchdog', 'replaced watchdog'],
  ])('%s: %s: %s', (path, name, expected) => {
    expect(changing(path, name)).toEqual([expected]);
  });

  it('says whose stack it is on', () => {
    const change = changeAt(
      'kernel/workqueue.o',
      returning('worker_thread', 1),
      returning('worker_thread', 2),
    );
    expect(change.diagnostics[0]?.message).toMatch(
      /kernel\/workqueue\.o: worker_thread: .*on the stack of workers of workqueues at every moment/,
    );
  });

  it('for memory that is added later, where the kernel frees it after boot', () => {
    expect(changing(OBJECT, 'f', '.meminit.text')).toEqual(['warning init_code_changed']);
    const pair = [returning('f', 1, '.meminit.text'), returning('f', 2, '.meminit.text')].map((source) =>
      compile(source),
    );
    const [pre, post] = pair;
    if (pre === undefined || post === undefined) throw new Error('nothing compiled');
    const { replaced, diagnostics } = diffCompared(compareUnit(pre, post, { keepsMeminit: true }));
    expect(replaced.map(({ name }) => name)).toEqual(['f']);
    expect(diagnostics).toEqual([]);
  });
});

describe('code that needs what is gone', () => {
  it.each([
    ['.init.data', /f refers to table, which is freed after boot$/],
    ['.meminit.data', /f refers to table, which is freed after boot$/],
  ])('in %s', (section, message) => {
    const table = `__section("${section}") int table[4] = {1};\n`;
    const pre = `${table}int f(int x) { return use(x); }`;
    const change = changeAt(OBJECT, pre, `${table}int f(int x) { return use(table[x]); }`);
    expect(change.diagnostics.map(brief)).toEqual(['error refers_to_init']);
    expect(change.diagnostics[0]).toMatchObject({
      message: expect.stringMatching(message),
      hint: expect.stringContaining('a copy of table'),
    });
  });
});

describe('new objects whose place is their meaning', () => {
  it.each([
    ['.data..nosave', 'hibernation'],
    ['.vvar_page', 'vDSO'],
    ['.data..decrypted', 'hypervisor'],
    ['___srcu_struct_ptrs', 'SRCU'],
  ])('in %s', (section, message) => {
    const object = `__section("${section}") int state = 1;\n`;
    const found = only('', object);
    expect([brief(found), found.message]).toEqual([
      'error special_place',
      expect.stringMatching(new RegExp(`^unit\\.o: state: new object in .*${message}`)),
    ]);
    expect(changeAt(OBJECT, object + returning('f', 1), object + returning('f', 2)).diagnostics).toEqual([]);
  });

  it('but not where an update has such a place too', () => {
    const change = changeAt(
      OBJECT,
      returning('f', 1),
      `__section(".data..percpu") int state; ${returning('f', 2)}`,
    );
    expect(change.diagnostics).toEqual([]);
  });
});

const unit = (path: string, pre: string, post: string): ChangedUnit => ({
  path,
  change: changeAt(path, pre, post),
});

describe('patchDiagnostics', () => {
  const boot = (value: number): string => returning('setup', value, '.init.text');
  const lone = unit('a.o', boot(1), boot(2));
  const work = unit('b.o', returning('f', 1), returning('f', 2));

  it('warns of boot code where another unit of the patch is changed', () => {
    expect(patchDiagnostics([lone, work]).map(brief)).toEqual(['warning init_code_changed']);
  });

  it('refuses when nothing else is left of the patch', () => {
    const [found] = patchDiagnostics([lone]);
    expect(found).toMatchObject({
      code: 'init_code_changed',
      severity: 'error',
      message: expect.stringMatching(
        /a\.o: setup: changed function is __init: it has run .* nothing else of the patch has an effect/,
      ),
      hint: expect.stringContaining('hook'),
    });
    const exported = unit('a.o', f, f + exportOf());
    expect(patchDiagnostics([exported, lone]).map(brief)).toEqual([
      'error export_added',
      'error init_code_changed',
    ]);
  });

  it('leaves alone what is no missing effect', () => {
    const lines = unit(
      'a.o',
      'int f(int x) { if (x) WARN(); return x; }',
      '\nint f(int x) { if (x) WARN(); return x; }',
    );
    expect(patchDiagnostics([lines]).map(brief)).toEqual(['note line_numbers_only']);
  });

  it('refuses a function that moves to another unit: unchanged callers stay with the old one', () => {
    const from = unit('a.o', returning('moved', 1) + returning('f', 1), returning('f', 1));
    const to = unit('b.o', returning('g', 1), returning('g', 2) + returning('moved', 2));
    const found = patchDiagnostics([from, to]);
    expect(found.map(brief)).toEqual(['error definition_moved']);
    expect(found[0]?.message).toMatch(/^b\.o: moved: the patch moves it here from a\.o: /);
    expect(patchDiagnostics([to]).map(brief)).toEqual([]);
    const own = (value: number): string => `static noinline ${returning('moved', value)}`;
    const callIt = 'int h(int x) { return moved(x) * 3; }';
    const local = unit('b.o', returning('h', 1), own(2) + callIt);
    expect(patchDiagnostics([from, local]).map(brief)).toEqual([]);
  });

  it('refuses an object that moves: its state would be there twice', () => {
    const counting = 'int count(int x) { extern int total; return total += x; }\n';
    const from = unit('a.o', `int total; ${counting}`, counting);
    const to = unit('b.o', returning('g', 1), `int total; ${returning('g', 2)}`);
    const found = patchDiagnostics([from, to]);
    expect(found.map(brief)).toEqual(['error definition_moved']);
    expect(found[0]?.message).toMatch(
      /^b\.o: total: the patch moves it here from a\.o: .* using the old one$/,
    );
    expect(patchDiagnostics([to]).map(brief)).toEqual([]);
  });
});
