import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../../src/diff/diagnostic.ts';
import { diffUnit } from '../../src/diff/diff-unit.ts';
import { type ChangedUnit, patchDiagnostics } from '../../src/diff/patch-diagnostics.ts';
import type { UnitChange } from '../../src/diff/unit-change.ts';
import { compile, diffSources, extract } from './diff-compile.ts';

const OBJECT = 'unit.o';

/** The change from one source to another, of a unit with this path. */
function changeAt(path: string, pre: string, post: string): UnitChange {
  const [before, after] = [pre, post].map((source) => ({ ...compile(source), path }));
  if (before === undefined || after === undefined) throw new Error('nothing compiled');
  return diffUnit(before, after);
}

function brief({ severity, code }: Diagnostic): string {
  return `${severity} ${code}`;
}

const work = (value: number): string => `\nint work(int x) { return use(x) + ${value}; }`;

/** The only diagnostic of a change in which `work` is replaced, too. */
function only(pre: string, post: string, path = OBJECT): Diagnostic {
  const change = changeAt(path, pre + work(1), post + work(2));
  expect(change.replaced.map(({ name }) => name)).toEqual(['work']);
  expect(change.diagnostics.map(({ message }) => message)).toHaveLength(1);
  const [diagnostic] = change.diagnostics;
  if (diagnostic === undefined) throw new Error('no diagnostic');
  return diagnostic;
}

const f = 'int f(int x) { return use(x); }\n';

interface Kind {
  readonly gpl?: boolean;
  readonly namespace?: string;
}

/** An export of f in the shape of include/linux/export.h, 6.1. */
function exportOf({ gpl = false, namespace = '' }: Kind = {}): string {
  return `asm(".pushsection \\"___ksymtab${gpl ? '_gpl' : ''}+f\\", \\"a\\"\\n .balign 4\\n"
    " .long f - ., __kstrtab_f - ., __kstrtabns_f - .\\n .popsection\\n"
    ".pushsection __ksymtab_strings, \\"aMS\\", %progbits, 1\\n"
    "__kstrtab_f: .asciz \\"f\\"\\n__kstrtabns_f: .asciz \\"${namespace}\\"\\n .popsection");\n`;
}

describe('exports', () => {
  it('leaves out a new one, says so, and makes the update', () => {
    const found = only(f, f + exportOf());
    expect(brief(found)).toBe('warning export_added');
    expect(found.message).toMatch(/^unit\.o: f: new export is left out: .*table of exports is fixed/);
    const pair = diffSources(
      `${f} int g(void) { return 1; }`,
      `${f} ${exportOf()} int g(void) { return 2; }`,
    );
    const names = extract(pair).written.sections.map(({ name }) => name);
    expect(names.filter((name) => name.includes('ksymtab'))).toEqual([]);
  });

  it('refuses to take one away', () => {
    const found = only(f + exportOf({ gpl: true }), f);
    expect(brief(found)).toBe('error export_removed');
    expect(found).toMatchObject({
      message: expect.stringMatching(/unit\.o: f: the patch removes its export \(to GPL modules\)/),
      location: { unit: OBJECT, section: '___ksymtab_gpl+f', symbol: 'f' },
      hint: expect.stringContaining('leave EXPORT_SYMBOL'),
    });
  });

  it.each<[string, Kind, Kind, RegExp]>([
    ['to GPL modules', {}, { gpl: true }, /exported to GPL modules by the patch, before to all modules/],
    [
      'in a namespace',
      {},
      { namespace: 'CRYPTO' },
      /exported to all modules, in namespace CRYPTO by the patch, before to all modules/,
    ],
    [
      'in another namespace',
      { namespace: 'OLD' },
      { namespace: 'NEW' },
      /namespace NEW .* before .* namespace OLD/,
    ],
  ])('refuses to export one %s that was not', (_, before, after, message) => {
    const found = only(f + exportOf(before), f + exportOf(after));
    expect(brief(found)).toBe('error export_changed');
    expect(found.message).toMatch(message);
  });

  it('takes the same export for no change, wherever its strings lie', () => {
    const other = exportOf().replaceAll('_f', '_h').replaceAll('+f', '+h').replace('long f', 'long h');
    const h = 'int h(int x) { return use(x) * 2; }\n';
    const change = changeAt(OBJECT, f + h + exportOf() + other, f + h + other + exportOf());
    expect(change.diagnostics).toEqual([]);
  });
});

const relative = (section: string, target: string): string =>
  `asm(".pushsection ${section}, \\"a\\"\\n .long ${target} - .\\n .popsection");\n`;
const initFunction = (name: string): string =>
  `__section(".init.text") int ${name}(void) { return use(1); }\n`;
const pointer = (section: string, target: string): string =>
  `asm(".pushsection ${section}, \\"aw\\"\\n .balign 8\\n .quad ${target}\\n .popsection");\n`;

/** `struct kernel_param` with a name, operations, permissions and a variable. */
function parameter(mode: string, variable = 'value'): string {
  return `
    static const char __param_str_level[] = "unit.level"; extern int ops;
    static const struct { const char *name; void *mod; const void *ops; unsigned short perm; signed char level;
      unsigned char flags; void *arg; } __param_level __section("__param") __attribute__((used, aligned(8))) =
      { __param_str_level, 0, &ops, ${mode}, -1, 0, &${variable} };\n`;
}
const variables = 'int value = 3; int other = 4;\n';

function bootOption(name: string, handler: string): string {
  return `
    static const char __setup_str_${handler}[] __section(".init.rodata") = "${name}";
    static const struct { const char *str; int (*setup)(void); long early; } __setup_${handler}
      __section(".init.setup") __attribute__((used, aligned(8))) = { __setup_str_${handler}, ${handler}, 0 };\n`;
}

function pciFixup(device: string, hook: string): string {
  return `asm(".pushsection .pci_fixup_header, \\"a\\"\\n .balign 16\\n .short 0x8086, ${device}\\n"
    " .long ~0, 0\\n .long ${hook} - .\\n .popsection");\n`;
}

describe('tables that the kernel reads while it boots', () => {
  const setup = initFunction('setup');
  it.each<[string, string, string, string, RegExp]>([
    [
      'a new initcall',
      setup,
      setup + relative('.initcall6.init', 'setup'),
      'error initcall_changed',
      /^unit\.o: \.initcall6\.init: the patch adds an initcall setup: .*would never run/,
    ],
    [
      'an initcall of another level',
      setup + relative('.initcall6.init', 'setup'),
      setup + relative('.initcall4.init', 'setup'),
      'warning initcall_changed',
      /\.initcall4\.init: the patch changes an initcall setup: it has run already/,
    ],
    [
      'an initcall that is removed',
      setup + relative('.initcall6.init', 'setup'),
      setup,
      'warning initcall_changed',
      /removes an initcall setup: it has run already, and what it did stays/,
    ],
    [
      'a new console initcall',
      setup,
      setup + relative('.con_initcall.init', 'setup'),
      'error initcall_changed',
      /adds an initcall setup/,
    ],
    [
      'a new boot option',
      setup,
      setup + bootOption('debug_unit=', 'setup'),
      'warning boot_option_changed',
      /adds a boot option "debug_unit=": the command line has been read/,
    ],
    [
      'a boot option with another function',
      setup + initFunction('other') + bootOption('debug_unit=', 'setup'),
      setup + initFunction('other') + bootOption('debug_unit=', 'other'),
      'warning boot_option_changed',
      /changes a boot option "debug_unit=": .*in the old way/,
    ],
    [
      'a new exit call',
      f,
      f + pointer('.exitcall.exit', 'f'),
      'warning boot_table_changed',
      /adds an exit call f: built-in code is never unloaded/,
    ],
    [
      'a driver in a table of the boot',
      f,
      f + pointer('.apicdrivers', 'f'),
      'error boot_table_changed',
      /\.apicdrivers: the patch adds an entry, f: the linker has gathered/,
    ],
  ])('%s', (_, pre, post, expected, message) => {
    const found = only(pre, post);
    expect([brief(found), found.message]).toEqual([expected, expect.stringMatching(message)]);
    if (found.severity === 'error') expect(found.hint).toMatch(/hook/);
  });
});

/** A list with these ids. */
const ids = (...names: readonly string[]): string =>
  `asm(".pushsection .BTF_ids, \\"a\\"\\n .balign 4\\nallowed: .long 0\\n${names
    .map((name, index) => `__BTF_ID__func__${name}__${index + 7}: .long 0\\n`)
    .join('')} .popsection");\n`;

const info = (text: string): string =>
  `static const char info[] __section(".modinfo") __attribute__((used)) = "${text}";\n`;

const nameless = (...names: readonly string[]): string => ids(...names).replace('allowed:', '');
const pointingAt = (symbol: string): string =>
  `extern int id __asm__("__BTF_ID__func__${symbol}"); int *const table[] = {&id};\n`;

describe('tables that the running kernel has its own of', () => {
  const quirk = 'void quirk(void *dev) { take(dev); }\n';
  const tracepoint = 'struct { int n; } __tracepoint_sent;\n';
  it.each<[string, string, string, string, RegExp, RegExp]>([
    [
      'a new parameter',
      variables,
      variables + parameter('0644'),
      'error parameter_changed',
      /adds the parameter "unit\.level": .*no such file in \/sys\/module/,
      /leave module_param\(\) out/,
    ],
    [
      'a parameter with other permissions',
      variables + parameter('0644'),
      variables + parameter('0444'),
      'error parameter_changed',
      /changes the parameter "unit\.level": .*keeps the old entry/,
      /chmod/,
    ],
    [
      'a parameter of another variable',
      variables + parameter('0644'),
      variables + parameter('0644', 'other'),
      'error parameter_changed',
      /changes the parameter/,
      /setter/,
    ],
    [
      'a new PCI fixup',
      quirk,
      quirk + pciFixup('0x1237', 'quirk'),
      'error pci_fixup_changed',
      /\.pci_fixup_header: the patch adds a PCI fixup, quirk \(0x8086:0x1237\)/,
      /hook for each device/,
    ],
    [
      'a PCI fixup that is removed',
      quirk + pciFixup('0xffff', 'quirk'),
      quirk,
      'error pci_fixup_changed',
      /removes a PCI fixup, quirk \(0x8086:any\): the kernel goes on calling it/,
      /do nothing/,
    ],
    [
      'a new tracepoint',
      tracepoint,
      tracepoint + relative('__tracepoints_ptrs', '__tracepoint_sent'),
      'error trace_table_changed',
      /adds the tracepoint sent: /,
      /pr_debug/,
    ],
    [
      'a new system call',
      'struct { int n; } __syscall_meta__ask;',
      `struct { int n; } __syscall_meta__ask; ${pointer('__syscalls_metadata', '__syscall_meta__ask')}`,
      'error trace_table_changed',
      /adds the system call ask: which function a number calls/,
      /cannot add a system call/,
    ],
    [
      'a system call that is removed',
      `struct { int n; } __syscall_meta__ask; ${pointer('__syscalls_metadata', '__syscall_meta__ask')}`,
      'struct { int n; } __syscall_meta__ask;',
      'error trace_table_changed',
      /removes the system call ask: its number goes on calling/,
      /ENOSYS/,
    ],
  ])('%s', (_, pre, post, expected, message, hint) => {
    const found = only(pre, post);
    expect([brief(found), found.message]).toEqual([expected, expect.stringMatching(message)]);
    expect(found.hint).toMatch(hint);
  });

  it('lets go of a parameter, with a warning', () => {
    const found = only(variables + parameter('0644'), variables);
    expect([brief(found), found.message]).toEqual([
      'warning parameter_changed',
      expect.stringMatching(/removes the parameter "unit\.level": its file .* stays/),
    ]);
  });

  it('refuses a BTF id that is taken back as well as a new one: the verifier would not heed it', () => {
    const more = only(ids('bpf_one'), ids('bpf_one', 'bpf_two'));
    expect([brief(more), more.message]).toEqual([
      'error btf_ids_changed',
      expect.stringMatching(/adds the BTF id bpf_two: /),
    ]);
    const less = only(ids('bpf_one', 'bpf_two'), ids('bpf_two'));
    expect([brief(less), less.message]).toEqual([
      'error btf_ids_changed',
      expect.stringMatching(/removes the BTF id bpf_one: .*BPF programs can go on using it/),
    ]);
  });

  it('does not take what refers to a BTF id for changed because another one comes in front of it', () => {
    const pre = nameless('bpf_one', 'bpf_two') + pointingAt('bpf_two__8');
    const grown = changeAt(OBJECT, pre, nameless('bpf_one', 'bpf_new', 'bpf_two') + pointingAt('bpf_two__9'));
    expect(grown.diagnostics.map(({ message }) => message)).toEqual([
      expect.stringMatching(/adds the BTF id bpf_new/),
    ]);
    const other = changeAt(OBJECT, pre, nameless('bpf_two', 'bpf_one') + pointingAt('bpf_one__8'));
    expect(other.diagnostics.map(brief)).toEqual(['error data_changed']);
  });

  it('notes that the description of a module changes', () => {
    const found = only(info('alias=pci:v1'), info('alias=pci:v2'));
    expect([brief(found), found.message]).toEqual([
      'note module_info_changed',
      expect.stringMatching(/adds alias=pci:v2 and removes alias=pci:v1/),
    ]);
  });
});

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

  it('for memory that is added later, which may be gone and may not', () => {
    expect(changing(OBJECT, 'f', '.meminit.text')).toEqual(['error init_code_changed']);
  });
});

describe('code that needs what is gone', () => {
  it.each([
    ['.init.data', /f refers to table, which is freed after boot$/],
    ['.meminit.data', /f refers to table, which kernels without memory hotplug free after boot$/],
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
