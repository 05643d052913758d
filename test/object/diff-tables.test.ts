import { describe, expect, it } from 'vitest';
import { brief, changeAt, exportOf, f, type Kind, OBJECT, only, pointer } from './diff-change.ts';
import { diffSources, extract } from './diff-compile.ts';

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
