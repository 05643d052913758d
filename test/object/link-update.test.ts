/**
 * An update module from compiled parts, as readelf and objdump see it: what the kernel's module loader needs,
 * and what it must not find.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SHT_NOBITS } from '../../src/elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { toAddress } from '../../src/kernel/address.ts';
import { scopeOf } from '../../src/kernel/symbol-scope.ts';
import {
  type LinkedModule,
  linkUpdate,
  type ReplacedFunction,
  type UnitReference,
  type UpdateToLink,
} from '../../src/link/link-update.ts';
import { matchUnit } from '../../src/match/match-unit.ts';
import { openWorkshop } from '../support/compile.ts';
import type { FakeKernel } from '../support/fake-kernel.ts';
import { addresses, smallKernel } from '../support/small-kernel.ts';

const flags =
  '-O2 -std=gnu11 -mcmodel=kernel -mno-red-zone -fno-PIE -fno-common -fcf-protection=none -fno-asynchronous-unwind-tables -mno-sse -I.'.split(
    ' ',
  );
const fentry = ['-pg', '-mfentry', '-mrecord-mcount'];
const sectioned = [...fentry, '-ffunction-sections', '-fdata-sections'];

const pre = `
int printk(const char *format, ...);
static int counter;
__attribute__((section(".data..percpu"))) int state;
__attribute__((noinline)) static int helper(int x) { counter += x; return printk("%d", counter); }
int handle(int x) { return helper(x) + helper(x + 1) + *(int *)&state; }
`;

/** What extraction leaves of the patched unit: the changed function, references to the rest undefined. */
const replacement = `
struct static_key { int enabled; };
extern struct static_key locked_key, key;
static inline __attribute__((always_inline)) _Bool static_branch(struct static_key *k)
{
  asm goto("1: .byte 0x0f,0x1f,0x44,0x00,0x00\\n .pushsection __jump_table,\\"aw\\"\\n .balign 8\\n"
    " .long 1b - .\\n .long %l[yes] - .\\n .quad %c0 - .\\n .popsection" : : "i" (k) : : yes);
  return 0;
yes:
  return 1;
}
int printk(const char *format, ...);
extern int counter, state;
int helper(int x);
__attribute__((section(".data..percpu..shared_aligned"), aligned(64))) int new_percpu = 3;
__attribute__((section(".data..percpu"))) int other_percpu = 4;
static const char *const messages[] = { "one", "two" };
static int new_state[16];
__attribute__((noinline)) int added(int x) { new_state[x & 15]++; return new_percpu + other_percpu; }
int handle(int x)
{
  if (static_branch(&locked_key))
    printk("locked");
  if (static_branch(&key))
    printk("free");
  if (x < 0)
    return -22;
  counter = x;
  return helper(x) + added(x) + state + printk(messages[x & 1], x);
}
asm(".pushsection .discard.addressable,\\"aw\\"\\n .quad handle\\n .popsection");
asm(".pushsection __ksymtab,\\"a\\"\\n .long handle - .\\n .popsection");
asm(".pushsection .modinfo,\\"a\\"\\n .asciz \\"author=nobody\\"\\n .popsection");
`;

/** core/stub/update.c with a struct module of our own. */
const stubSource = `
#include "ksplice.h"
struct module { int state; void *list[2]; char name[56]; int (*init)(void); char rest[700]; void (*exit)(void); };
extern struct module __this_module;
extern const char ksplice_update_id[];
extern const struct ksplice_function ksplice_update_functions[];
extern const u32 ksplice_update_nr_functions, ksplice_update_flags;
static struct ksplice_update update = {
  .owner = &__this_module, .id = ksplice_update_id, .functions = ksplice_update_functions,
  .interface = KSPLICE_INTERFACE,
};
int init_module(void)
{
  update.nr_functions = ksplice_update_nr_functions;
  update.flags = ksplice_update_flags;
  return ksplice_register(&update);
}
void cleanup_module(void) { ksplice_unregister(&update); }
__attribute__((section(".gnu.linkonce.this_module"), visibility("default")))
struct module __this_module = { .name = "ksplice_stub", .init = init_module, .exit = cleanup_module };
asm(".pushsection .modinfo,\\"a\\"\\n .asciz \\"license=GPL\\"\\n .asciz \\"name=ksplice_stub\\"\\n"
  " .asciz \\"retpoline=Y\\"\\n .popsection");
`;

const types = 'typedef unsigned char u8;\ntypedef unsigned int u32;\n#define BIT(n) (1UL << (n))\n';
const ksplice = readFileSync(new URL('../../core/ksplice.h', import.meta.url), 'utf8').replace(
  '#include <linux/types.h>',
  types,
);

function compile(source: string, more: readonly string[], name: string): ObjectFile {
  using workshop = openWorkshop();
  workshop.write('ksplice.h', ksplice);
  workshop.compile('unit.c', source, [...flags, ...more]);
  return readObject(workshop.read('unit.o'), name);
}

const preObject = compile(pre, fentry, 'fs/a.o');
const replacementObject = compile(replacement, sectioned, 'fs/a.o (replacement)');
const stubObject = compile(stubSource, [], 'stub.o');

const LOCKED = 0xffffffff82a00010n;
const REGISTER = 0xffffffffc0800100n;

function unit(symbol: string): UnitReference {
  return { symbol, scope: 'unit', preName: symbol, weak: false };
}

interface Linked {
  readonly kernel: FakeKernel;
  readonly module: LinkedModule;
  readonly object: ObjectFile;
  readonly old: (name: string) => bigint;
}

function link(options: { locked?: number; changes?: Partial<UpdateToLink> } = {}): Linked {
  const kernel = smallKernel();
  const loaded = kernel.load(preObject, { '.text': 0xffffffff81234000n });
  kernel.define('__start_ro_after_init', LOCKED - 0x10n, 'D');
  kernel.define('__end_ro_after_init', LOCKED + 0x10n, 'D');
  kernel.define('locked_key', kernel.map(LOCKED, [options.locked ?? 0, 0, 0, 0]), 'D');
  const match = matchUnit(preObject, kernel);
  if (match.kind !== 'match') throw new Error(JSON.stringify(match.mismatch));
  const module = linkUpdate(
    {
      id: 'fix_1',
      on: [],
      units: [
        {
          match,
          below: new Map(),
          replacement: replacementObject,
          functions: [{ name: 'handle', preName: 'handle', site: { offset: 5, size: 5 } }],
          hooks: [],
          references: [unit('counter'), unit('helper')],
        },
      ],
      stub: stubObject,
      moduleLayoutCrc: 0x12345678,
      resident: true,
      ...options.changes,
    },
    kernel,
    (name) => (/^ksplice_(un)?register$/.test(name) ? toAddress(REGISTER) : undefined),
  );
  return { kernel, module, object: readObject(module.bytes, 'ksplice_fix_1.ko'), old: loaded.at };
}

function named(object: ObjectFile, name: string): Section {
  const found = object.sections.filter((each) => each.name === name);
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${found.length} sections ${name}`);
  return only;
}

function tool(bytes: Uint8Array, name: string, ...args: readonly string[]): string {
  using workshop = openWorkshop();
  workshop.write('module.ko', bytes);
  return workshop.run(name, ...args, 'module.ko');
}

const linked = link();

/** Symbols, as relocations of a section see them. */
function targets(object: ObjectFile, section: string): readonly (ElfSymbol & { readonly addend: number })[] {
  return named(object, section).relocations.flatMap((each) => {
    const symbol = object.symbols[each.symbol];
    return symbol === undefined ? [] : [{ ...symbol, addend: each.addend }];
  });
}

function replaced(name: string): readonly [ReplacedFunction] {
  return [{ name, preName: name, site: { offset: 5, size: 5 } }];
}

describe('an update module', () => {
  it('is a relocatable file that binutils read without complaint', () => {
    expect(linked.module.name).toBe('ksplice_fix_1');
    const text = tool(linked.module.bytes, 'readelf', '-aW');
    expect(text).not.toMatch(/warning|error/i);
    expect(text).toMatch(/Type:\s+REL/);
  });

  it('has no undefined symbol, and no absolute one with a name', () => {
    const lines = tool(linked.module.bytes, 'readelf', '-sW').split('\n');
    expect(lines.filter((line) => / UND /.test(line)).map((line) => line.trim().split(/\s+/)[0])).toEqual([
      '0:',
    ]);
    const absolute = lines.filter((line) => / ABS /.test(line)).map((line) => line.trim().split(/\s+/));
    expect(absolute.every((fields) => fields.length === 7)).toBe(true);
    const values = new Set(absolute.map(([, value]) => value));
    const expected = [
      addresses.printk,
      addresses.key,
      addresses.__fentry__,
      REGISTER,
      ...['counter', 'helper', 'state'].map((name) => linked.old(name)),
    ];
    expect(values.size).toBe(absolute.length);
    expect(values).toEqual(new Set(expected.map((value) => value.toString(16).padStart(16, '0'))));
  });

  it('says which addresses it was bound to', () => {
    for (const name of ['counter', 'helper', 'state'])
      expect(linked.module.bound).toContain(linked.old(name));
    expect(linked.module.bound).toContain(addresses.printk);
  });

  it('has zeroes in every field that the loader will relocate', () => {
    let fields = 0;
    for (const { data, relocations, type } of linked.object.sections) {
      if (type === SHT_NOBITS) expect(relocations).toEqual([]);
      for (const { offset, type: kind } of relocations) {
        const size = kind === 1 || kind === 24 ? 8 : 4;
        expect([...data.subarray(offset, offset + size)]).toEqual(Array.from({ length: size }, () => 0));
        fields += 1;
      }
    }
    expect(fields).toBeGreaterThan(20);
  });

  it('has its code in one .text and its per-CPU data in .data..percpu, aligned', () => {
    const names = linked.object.sections.map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('.text'))).toEqual(['.text']);
    expect(names.filter((name) => name.includes('percpu'))).toEqual(['.data..percpu']);
    const percpu = named(linked.object, '.data..percpu');
    expect(percpu.alignment).toBe(64);
    const values = ['new_percpu', 'other_percpu'].map((name) => {
      const at = Number(linked.object.symbols.find((each) => each.name === name)?.value);
      return [at % (name === 'new_percpu' ? 64 : 4), percpu.data[at]];
    });
    expect(values).toEqual([
      [0, 3],
      [0, 4],
    ]);
    const writable = linked.object.sections.filter(({ flags: bits }) => (bits & 5) === 5);
    expect(writable).toEqual([]);
  });

  it('has no table of things that exist already', () => {
    const names = linked.object.sections.map(({ name }) => name);
    expect(names.filter((name) => /discard|ksymtab|note|comment|eh_frame/.test(name))).toEqual([]);
    expect(Buffer.from(linked.module.bytes).includes('author=nobody')).toBe(false);
  });

  it('has functions with a suffix, so that no probe by name becomes ambiguous', () => {
    const functions = linked.object.symbols.filter(({ type, name }) => type === 2 && name !== '');
    expect(functions.map(({ name }) => name).sort()).toEqual([
      'added.ksplice_fix_1',
      'cleanup_module',
      'handle.ksplice_fix_1',
      'init_module',
    ]);
    const text = tool(linked.module.bytes, 'objdump', '-dr', '--no-show-raw-insn');
    expect(text).toMatch(/<handle\.ksplice_fix_1>:\n[^\n]*call/);
    expect(text).not.toMatch(/\(bad\)/);
  });

  it('is named in struct module, in place, and in .modinfo', () => {
    const before = named(stubObject, '.gnu.linkonce.this_module');
    const after = named(linked.object, '.gnu.linkonce.this_module');
    expect(after.size).toBe(before.size);
    expect(Buffer.from(after.data.subarray(24, 80)).toString('latin1')).toBe(
      'ksplice_fix_1'.padEnd(56, '\0'),
    );
    const strings = tool(linked.module.bytes, 'readelf', '-p', '.modinfo');
    expect(strings).toMatch(/license=GPL[^]*name=ksplice_fix_1[^]*retpoline=Y/);
    expect(targets(linked.object, '.gnu.linkonce.this_module').map(({ name }) => name)).toEqual([
      'init_module',
      'cleanup_module',
    ]);
  });

  it('has a version of module_layout, and needs none else', () => {
    const versions = Buffer.from(named(linked.object, '__versions').data);
    expect(versions.length).toBe(64);
    expect(versions.readBigUInt64LE(0)).toBe(0x12345678n);
    expect(versions.toString('latin1', 8).replace(/\0+$/, '')).toBe('module_layout');
    const none = link({ changes: { moduleLayoutCrc: undefined } });
    expect(none.object.sections.some(({ name }) => name === '__versions')).toBe(false);
  });

  it.each([
    [0, '0f 1f 44 00 00'],
    [1, 'e9'],
  ])('has branches of keys that are read-only as they are: %i', (enabled, expected) => {
    const { object } = link({ locked: enabled });
    const table = named(object, '__jump_table');
    expect(table.size).toBe(16);
    expect(targets(object, '__jump_table').map(({ place, value }) => [place, value])[2]).toEqual([
      'absolute',
      addresses.key,
    ]);
    const handle = object.symbols.find(({ name }) => name === 'handle.ksplice_fix_1');
    const code = named(object, '.text').data.subarray(Number(handle?.value));
    // The call of __fentry__, then at most a few instructions, then the branch.
    const bytes = Buffer.from(code.subarray(0, 24)).toString('hex').replaceAll(/(..)/g, '$1 ');
    expect(bytes).toContain(expected);
    expect(bytes.includes('0f 1f 44 00 00') && bytes.includes('e9 ')).toBe(enabled === 1);
  });
});

describe('a unit that refers to what another unit brings', () => {
  const userPre = compile('int other(int x) { return x * 1000 + 12345; }', fentry, 'fs/b.o');
  const userReplacement = compile(
    'int added(int x); extern int new_percpu; int other(int x) { return added(x) + new_percpu; }',
    sectioned,
    'fs/b.o (replacement)',
  );

  /** `target`: what the unit is part of that brings `added`. */
  function linkBoth(target: string): ObjectFile {
    const kernel = smallKernel();
    kernel.load(preObject, { '.text': 0xffffffff81234000n });
    kernel.load(userPre, { '.text': 0xffffffff81244000n });
    for (const name of ['__start_ro_after_init', '__end_ro_after_init']) kernel.define(name, LOCKED, 'D');
    kernel.define('locked_key', kernel.map(LOCKED, [0, 0, 0, 0]), 'D');
    const [brings, uses] = [preObject, userPre].map((object) => {
      const match = matchUnit(object, kernel);
      if (match.kind !== 'match') throw new Error(JSON.stringify(match.mismatch));
      return match;
    });
    if (brings === undefined || uses === undefined) throw new Error('no match');
    const { bytes } = linkUpdate(
      {
        id: 'fix_1',
        on: [],
        units: [
          {
            match: uses,
            below: new Map(),
            replacement: userReplacement,
            functions: replaced('other'),
            hooks: [],
            references: [],
          },
          {
            match: { ...brings, target, scope: scopeOf(kernel, target) },
            below: new Map(),
            replacement: replacementObject,
            functions: target === 'vmlinux' ? replaced('handle') : [],
            hooks: [],
            references: [unit('counter'), unit('helper')],
          },
        ],
        stub: stubObject,
        moduleLayoutCrc: 1,
        resident: false,
      },
      kernel,
      (name) => (/^ksplice_(un)?register$/.test(name) ? toAddress(REGISTER) : undefined),
    );
    return readObject(bytes, 'ksplice_fix_1.ko');
  }

  it('is bound to it in the module', () => {
    const object = linkBoth('vmlinux');
    const other = object.symbols.find(({ name }) => name === 'other.ksplice_fix_1');
    const [start, end] = [Number(other?.value), Number(other?.value) + (other?.size ?? 0)];
    const used = named(object, '.text').relocations.flatMap(({ offset, symbol }) =>
      offset >= start && offset < end ? [object.symbols[symbol]?.name] : [],
    );
    expect(used).toEqual(expect.arrayContaining(['added.ksplice_fix_1', 'new_percpu']));
  });

  it('does not see what a module brings', () => {
    expect(() => linkBoth('some_module')).toThrow(/fs\/b\.o: kallsyms has no symbol named added/);
  });
});

describe('what linking refuses', () => {
  it('a function that something overrides', () => {
    const { kernel } = linked;
    const found = kernel.named('handle')[0]?.address;
    expect(found).toBe(linked.old('handle'));
    const match = matchUnit(preObject, kernel);
    if (match.kind !== 'match') throw new Error('no match');
    kernel.forget('handle');
    kernel.define('handle', 0xffffffff81e00000n);
    expect(() =>
      linkUpdate(
        {
          id: 'x',
          on: [],
          units: [
            {
              match,
              below: new Map(),
              replacement: replacementObject,
              functions: [{ name: 'handle', preName: 'handle', site: { offset: 5, size: 5 } }],
              hooks: [],
              references: [],
            },
          ],
          stub: stubObject,
          moduleLayoutCrc: 1,
          resident: false,
        },
        kernel,
        () => undefined,
      ),
    ).toThrow(/fs\/a\.o: kallsyms has no handle at 0xffffffff81234/);
  });
});
