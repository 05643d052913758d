/**
 * A module for the kernel's own livepatch from compiled parts, as readelf sees it: symbols by name and position, in
 * sections that livepatch binds (Documentation/livepatch/module-elf-format.rst).
 */
import { describe, expect, it } from 'vitest';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { toAddress } from '../../src/kernel/address.ts';
import { type LivepatchToLink, linkLivepatch } from '../../src/link/link-livepatch.ts';
import type { LinkedModule } from '../../src/link/link-update.ts';
import {
  isPreemptible,
  PREEMPTION_KEY,
  refuseEarlyUse,
  refuseSleepingColdPart,
} from '../../src/link/livepatch-limits.ts';
import { maskForRest } from '../../src/link/rest-code.ts';
import { matchUnit } from '../../src/match/match-unit.ts';
import { NOTE_SECTION, parseModuleNote } from '../../src/update/module-note.ts';
import { openWorkshop } from '../support/compile.ts';
import { addresses, smallKernel } from '../support/small-kernel.ts';

const flags =
  '-O2 -std=gnu11 -mcmodel=kernel -mno-red-zone -fno-PIE -fno-common -fcf-protection=none -fno-asynchronous-unwind-tables -mno-sse -pg -mfentry -mrecord-mcount'.split(
    ' ',
  );

const pre = `
int printk(const char *format, ...);
static int counter;
__attribute__((noinline)) static int helper(int x) { counter += x; return printk("%d", counter); }
int handle(int x) { return helper(x) + helper(x + 1); }
`;

const replacement = `
int printk(const char *format, ...);
extern int counter;
int helper(int x);
__attribute__((weak)) int absent(void);
__attribute__((noinline, section(".text.added"))) int added(int x) { return printk("added %d", x); }
__attribute__((section(".text.handle"))) int handle(int x)
{
  counter = x;
  return helper(x) + added(x) + (absent ? absent() : 0);
}
`;

/** With a branch by a key that is read-only after boot. */
const branching = `
int handle(int x)
{
  asm goto("1: .byte 0x0f, 0x1f, 0x44, 0, 0\\n .pushsection __jump_table, \\"aw\\"\\n .balign 8\\n"
           " .long 1b - ., %l[yes] - .\\n .quad boot_key - .\\n .popsection" :::: yes);
  return x;
yes:
  return x + 1;
}
`;

const stub = `
extern const char ksplice_update_id[], ksplice_livepatch_code_end[], ksplice_livepatch_objects[];
int printk(const char *format, ...);
int init_module(void) { return printk(ksplice_update_id, ksplice_livepatch_code_end, ksplice_livepatch_objects); }
struct module { char name[56]; int (*init)(void); };
__attribute__((section(".gnu.linkonce.this_module")))
struct module __this_module = { .name = "ksplice_livepatch", .init = init_module };
asm(".pushsection .modinfo,\\"a\\"\\n .asciz \\"name=ksplice_livepatch\\"\\n .asciz \\"livepatch=Y\\"\\n .popsection");
`;

function compile(source: string, more: readonly string[], name: string): ObjectFile {
  using workshop = openWorkshop();
  workshop.compile('unit.c', source, [...flags, ...more]);
  return readObject(workshop.read('unit.o'), name);
}

const preObject = compile(pre, [], 'fs/a.o');
const replacementObject = compile(replacement, [], 'fs/a.o (replacement)');
const branchingObject = compile(branching, [], 'fs/a.o (replacement)');
const stubObject = compile(stub, [], 'livepatch.o');

interface LinkOptions {
  readonly changes?: Partial<LivepatchToLink>;
  /** Names that the kernel has under two addresses. */
  readonly nameless?: string;
  readonly code?: ObjectFile;
  readonly hook?: 'post_apply' | 'apply' | 'pre_reverse';
  readonly siteOffset?: number;
}

function link({
  changes = {},
  hook,
  siteOffset = 5,
  nameless,
  code = replacementObject,
}: LinkOptions = {}): LinkedModule {
  const kernel = smallKernel();
  // Another unit has a function of this name, at a lower address: the first of the two.
  kernel.define('helper', 0xffffffff81111000n, 't');
  kernel.load(preObject, { '.text': 0xffffffff81234000n });
  kernel.define('__start_ro_after_init', 0xffffffff82a00000n);
  kernel.pointer('boot_key', 0xffffffff82a00100n, 0n);
  kernel.define('__end_ro_after_init', 0xffffffff82a01000n);
  const match = matchUnit(preObject, kernel);
  if (match.kind !== 'match') throw new Error(JSON.stringify(match.mismatch));
  const names = ['counter', 'helper'];
  if (nameless !== undefined) kernel.forget(nameless);
  return linkLivepatch(
    {
      id: 'fix_1',
      on: [],
      units: [
        {
          match,
          below: new Map(),
          replacement: code,
          functions: [{ name: 'handle', preName: 'handle', site: { offset: siteOffset, size: 5 } }],
          hooks: hook === undefined ? [] : [{ kind: hook, name: 'added' }],
          references: [
            ...names.map((symbol) => ({ symbol, scope: 'unit' as const, preName: symbol, weak: false })),
            { symbol: 'absent', scope: 'global', preName: 'absent', weak: true },
          ],
        },
      ],
      stub: stubObject,
      moduleLayoutCrc: 0x12345678,
      resident: false,
      vermagic: '6.1.0 SMP mod_unload ',
      ...changes,
    },
    kernel,
  );
}

function readelf(bytes: Uint8Array, ...args: readonly string[]): string {
  using workshop = openWorkshop();
  workshop.write('module.ko', bytes);
  return workshop.run('readelf', ...args, 'module.ko');
}

function sectionOf(bytes: Uint8Array, name: string): Buffer {
  using workshop = openWorkshop();
  workshop.write('module.ko', bytes);
  workshop.run('objcopy', '--dump-section', `${name}=section`, 'module.ko');
  return Buffer.from(workshop.read('section'));
}

describe('a livepatch module', () => {
  const { bytes } = link();
  const symbols = readelf(bytes, '-sW');

  it('names symbols of the kernel for livepatch, with the position that matching has found', () => {
    for (const symbol of ['printk,0', 'counter,0', 'helper,2', '__fentry__,0']) {
      expect(symbols).toMatch(
        new RegExp(`NOTYPE +GLOBAL DEFAULT OS \\[0xff20\\] \\.klp\\.sym\\.vmlinux\\.${symbol}\\n`),
      );
    }
    expect(symbols).not.toMatch(/ UND \S/);
  });

  it('has relocations that livepatch applies, apart from those of the module loader', () => {
    const sections = readelf(bytes, '-SW');
    expect(sections).toMatch(/\.klp\.rela\.vmlinux\.\.text +RELA .* A?I?o? *\S* +\d+ +\d+ +8\n/);
    const header = sections.split('\n').find((line) => line.includes('.klp.rela.vmlinux..text')) ?? '';
    expect(header).toMatch(/\bAIo\b/);
    const relocations = readelf(bytes, '-rW');
    const [, ours = ''] = relocations.split("Relocation section '.klp.rela.vmlinux..text'");
    expect(ours.split('Relocation section')[0]).toMatch(/\.klp\.sym\.vmlinux\.helper,2 - 4/);
  });

  it('leaves a weak symbol that the kernel has not at address 0, which livepatch would not find', () => {
    expect(symbols).toMatch(/: 0000000000000000 +0 NOTYPE +LOCAL +DEFAULT +ABS *\n/);
    expect(symbols).not.toContain('absent');
  });

  it('begins with a replacement, and marks where the replacement code ends', () => {
    const at = (name: string): number =>
      Number.parseInt(new RegExp(`([0-9a-f]{16}) .* ${name}\\n`).exec(symbols)?.[1] ?? 'none', 16);
    expect(at('handle.ksplice_fix_1')).toBe(0);
    expect(at('added.ksplice_fix_1')).toBeGreaterThan(0);
    expect(at('ksplice_livepatch_code_end')).toBeGreaterThan(at('added.ksplice_fix_1'));
  });

  it('is marked as one', () => {
    expect(readelf(bytes, '-p', '.modinfo')).toMatch(/livepatch=Y/);
    expect(readelf(bytes, '-p', '.modinfo')).toMatch(/name=ksplice_fix_1/);
  });
});

const atRest: NonNullable<LivepatchToLink['atRest']> = {
  kernel: {
    release: '6.1.0-test',
    version: '#1 SMP Test (2026-01-01)',
    exported: (name) => {
      if (name === 'printk') return { address: toAddress(addresses.printk), crc: 0xabcd1234, namespace: '' };
      // As a module that exports the same name: another thing.
      if (name === 'counter') return { address: toAddress(0xffffffff81000000n), crc: 1, namespace: '' };
      if (name === '__fentry__') {
        return { address: toAddress(addresses.__fentry__), crc: 2, namespace: 'SECRET' };
      }
      return undefined;
    },
  },
  note: { manifest: Buffer.from('{"id": "fix_1"}'), signature: Buffer.from('signed') },
};

describe('a module that is linked at rest', () => {
  const { bytes } = link({ changes: { atRest } });
  const symbols = readelf(bytes, '-sW');

  it('leaves exports to the module loader, with their CRCs, and names everything else for livepatch', () => {
    expect(symbols).toMatch(/NOTYPE +GLOBAL DEFAULT +UND printk\n/);
    for (const symbol of ['counter,0', 'helper,2', '__fentry__,0', 'handle,0']) {
      expect(symbols).toContain(`.klp.sym.vmlinux.${symbol}\n`);
    }
    const data = sectionOf(bytes, '__versions');
    expect(data.length).toBe(2 * 64);
    expect(data.readBigUInt64LE(64)).toBe(0xabcd1234n);
    expect(data.toString('latin1', 72, 79)).toBe('printk\0');
  });

  it('holds no address of the kernel, in no symbol and in no byte', () => {
    expect(symbols.match(/^.* ABS .*$/gm)).toEqual([
      expect.stringMatching(/: 0000000000000000 +0 NOTYPE +LOCAL +DEFAULT +ABS/),
    ]);
    const view = Buffer.from(bytes);
    for (let at = 0; at + 8 <= view.length; at += 1) {
      const value = view.readBigUInt64LE(at);
      expect(value >= 0xffffffff80000000n && value < 0xffffffffc0000000n, `byte ${at}`).toBe(false);
    }
  });

  it('says which kernel it is for, and what it is', () => {
    expect(sectionOf(bytes, '.rodata').toString('latin1')).toContain(
      '6.1.0-test\0#1 SMP Test (2026-01-01)\0',
    );
    expect(readelf(bytes, '-SW')).toMatch(/\.note\.ksplice +NOTE /);
    expect(parseModuleNote(sectionOf(bytes, NOTE_SECTION), 'note')).toEqual({
      manifest: Buffer.from('{"id": "fix_1"}'),
      signature: Buffer.from('signed'),
    });
    expect(readelf(bytes, '-p', '.modinfo')).toMatch(/depends=\n/);
  });

  it('is the same from the same', () => {
    expect(Buffer.compare(link({ changes: { atRest } }).bytes, bytes)).toBe(0);
  });

  it('is refused where only the machine knows which way its code goes', () => {
    expect(() => link({ changes: { atRest }, code: branchingObject })).toThrow(
      /fs\/a\.o \(replacement\): a branch by boot_key, which is set when a machine boots/,
    );
    // On the machine it is known.
    expect(link({ code: branchingObject }).trampolines).toHaveLength(1);
  });

  it('is refused if a machine could not find what it refers to', () => {
    expect(() => link({ changes: { atRest }, nameless: 'counter' })).toThrow(
      /fs\/a\.o \(replacement\): counter: kallsyms has no such name at 0xffffffff8/,
    );
  });
});

describe('the old code of a kernel at rest', () => {
  const compiled = compile(
    `extern int outside, printk(const char *format, ...);
     static __attribute__((noinline)) int near(int x) { __asm__ volatile(""); return x + 1; }
     int handle(int x) { return near(x) + outside + printk("%d", x); }`,
    ['-mno-sse'],
    'fs/a.o',
  );

  function masked(range: { readonly start: bigint; readonly end: bigint }): readonly string[] {
    const kernel = smallKernel();
    kernel.define('outside', 0xffffffff82f00200n, 'D');
    kernel.load(compiled, { '.text': 0xffffffff81234000n });
    const match = matchUnit(compiled, kernel);
    if (match.kind !== 'match') throw new Error(JSON.stringify(match.mismatch));
    // Nothing has been rewritten at rest, so matching has masked nothing.
    const atRestText = new Map(
      [...match.text].map(([index, one]) => [
        index,
        { ...one, mask: new Uint8Array(one.mask.length).fill(0xff) },
      ]),
    );
    const { text } = maskForRest({ ...match, text: atRestText }, range);
    return compiled.sections.flatMap((section) =>
      section.relocations
        .filter(({ offset }) => text.get(section.index)?.mask[offset] === 0)
        .map(({ symbol }) => compiled.symbols[symbol]?.name ?? '?'),
    );
  }

  it('is compared but for what a machine rewrites, and for what moves', () => {
    const all = masked({ start: 0xffffffff80000000n, end: 0xffffffffc0000000n });
    expect(all).toContain('__fentry__');
    expect(all).not.toContain('printk');
    expect(all).not.toContain('outside');
    // Of a module, what lies in the kernel proper is at another distance.
    const ofModule = masked({ start: 0xffffffff81234000n, end: 0xffffffff81235000n });
    expect(ofModule).toContain('printk');
    expect(ofModule).toContain('outside');
  });
});

describe('livepatch is refused', () => {
  it.for([
    [
      'a hook inside the stop',
      { hook: 'apply' },
      /the hook added \(ksplice_apply\) is called with all processors/,
    ],
    ['a hook that may refuse an undo', { hook: 'pre_reverse' }, /may refuse an undo/],
    ['a function that ftrace cannot reach', { siteOffset: 0 }, /handle has no ftrace entry/],
    ['an update on top of another', { changes: { on: ['base'] } }, /on top of base/],
    ['an update of hooks alone', { changes: { units: [] } }, /replaces no function/],
  ] as const)('%s', ([, options, message]) => {
    expect(() => link(options)).toThrow(message);
  });

  it('but not a hook that has its place in a transition', () => {
    expect(link({ hook: 'post_apply' }).trampolines).toHaveLength(1);
  });
});

/** A unit whose function has a cold part that calls `called`. */
function withColdPart(called: string): ObjectFile {
  return compile(
    `void ${called}(void);
__attribute__((noinline)) void work_cold(void) __asm__("work.cold");
__attribute__((noinline, no_instrument_function, section(".text.unlikely"))) void work_cold(void) { ${called}(); __asm__ volatile(""); }
void work(int x) { if (x) work_cold(); __asm__ volatile(""); }
`,
    [],
    'fs/cold.o',
  );
}

describe('a cold part', () => {
  it('that calls what may sleep is refused', () => {
    expect(() => {
      refuseSleepingColdPart(withColdPart('mutex_lock'), 'work', false);
    }).toThrow(/work has a cold part that calls mutex_lock, where a task may sleep/);
  });

  it('that only prints is no matter, unless the kernel is preemptible', () => {
    const unit = withColdPart('_printk');
    refuseSleepingColdPart(unit, 'work', false);
    expect(() => {
      refuseSleepingColdPart(unit, 'work', true);
    }).toThrow(/preemptible kernel/);
  });
});

describe('a kernel', () => {
  it('is preemptible as the key of the static call says, or as it was built', () => {
    const kernel = smallKernel();
    expect(isPreemptible(kernel, '6.1.0 SMP preempt mod_unload ')).toBe(true);
    expect(isPreemptible(kernel, '6.1.0 SMP mod_unload ')).toBe(false);
    kernel.pointer(PREEMPTION_KEY, 0xffffffff82f40000n, 0n);
    expect(isPreemptible(kernel, '6.1.0 SMP preempt mod_unload ')).toBe(false);
  });
});

describe('a reference to a module', () => {
  const address = toAddress(0xffffffffc0400000n);
  const symbol = { object: 'ext4', name: 'mod_key', position: 0, address, boundWith: 'ext4' };

  function early(section: string): void {
    const unit = compile(`asm(".pushsection ${section}\\n .long mod_key - .\\n .popsection");`, [], 'fs/m.o');
    refuseEarlyUse(unit, () => symbol);
  }

  it('is refused where it would be bound too late', () => {
    for (const section of ['.altinstr_replacement,\\"ax\\"', '.data..percpu,\\"aw\\"']) {
      expect(() => {
        early(section);
      }, section).toThrow(/mod_key belongs to a module, and would be bound too late/);
    }
    early('.data,\\"aw\\"');
  });
});
